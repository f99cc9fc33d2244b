// How many members a team has: as many as pay, measured.
//
// Results do not depend on the number of members, so the team may change whenever it likes. What a step costs with two
// members depends on the machine more than on the step: where a neighbour takes one of two processors, members wait for
// each other's slices, and a step may take a hundred times as long. So sizes are tried against each other:
//
//   * Where the system tells how many threads want to run (Linux), a team begins with the processors that are idle, and
//     grows into those that become idle. Elsewhere short steps begin alone, and long steps with the whole team, for a
//     trial of less would cost too much.
//   * A trial may lose a fraction of a millisecond against the size before it, then it is over; one that gains is kept.
//   * The larger size is tried again after some milliseconds of steps without success, then after twice as many, up to
//     a second. The smaller size is tried every second.
//   * Where every processor has a neighbour, two threads get more of the machine than one, and waste some of it. So the
//     larger size is tried there, too, but less often, and patiently: a trial goes through some slices of the
//     scheduler.
//   * A size in use is compared, step by step, with what half of it took, or one alone. Where it has lost a millisecond
//     since it last was even, the better of them is tried.
//   * A single step may be slow for reasons of its own (memory that is touched for the first time): it does not count
//     if no thread has to wait for a processor, and if few steps are so.
//   * Most fits are shorter than all that. So what a fit has found is where the next of its kind begins, if less than a
//     second lies between them; after a pause it begins with no fewer members than that.
//
// Measurements are in DECISIONS.md.
#include "core/team_size.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <utility>

#if defined(__linux__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace fg {

namespace {

constexpr double longest_wait = 1.0;   // seconds between trials
constexpr double shortest_wait = 0.2;  // between trials that are made anyway
constexpr double lost = 1e-3;          // that tell that a smaller team is better
constexpr double price = 3e-4;         // that a trial may lose
constexpr double slices = 1.2e-2;  // after which three threads have had a processor in turn: both, on a full machine
constexpr double slice = 8e-3;     // that a patient trial may lose: one or two slices
constexpr double lasting = 0.1;    // after which a size has stood the test; on a full machine, five times that
constexpr double forgotten = 1.0;  // after which neighbours may have come or gone
constexpr double long_step = 2e-3;
constexpr double glance = 2e-3;   // seconds between two looks at the processors
constexpr int unknown = 1 << 20;  // how many processors are idle

// Threads of a region that has ended spin for some milliseconds, in case that another begins.
constexpr double spinning = 0.012;
std::atomic<std::int64_t> spin_until{0};
std::atomic<int> spinners{0};

std::int64_t ticks() { return TeamSize::Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

#if defined(__linux__)
// The fourth number of /proc/loadavg, which a read makes anew: threads that run or want to, and for some milliseconds
// those that did. It is opened each time (5 microseconds), for a process may close all its files.
int wanting_to_run() {
    const int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    char text[128]{};
    const auto length = read(file, text, sizeof text - 1);
    close(file);
    int running = -1;
    return length > 0 && std::sscanf(text, "%*f %*f %*f %d/", &running) == 1 ? running : -1;
}

// Processors that nobody wants; less than zero where threads have to wait for each other. This process's spinning
// threads do not count.
int idle_processors() {
    const int running = wanting_to_run(), processors = int(sysconf(_SC_NPROCESSORS_ONLN));
    if (running < 0 || processors < 1) return unknown;
    return processors - running + (ticks() < spin_until ? spinners.load() : 0);
}
#else
int idle_processors() { return unknown; }
#endif

unsigned random_number() {
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
    static std::atomic<std::uint64_t> state{odd};
    std::uint64_t x = state.fetch_add(odd);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    return unsigned((x ^ (x >> 27)) * 0x94d049bb133111ebu >> 40);
}

}  // namespace

std::atomic<TeamSize::Policy>& TeamSize::policy() {
    static std::atomic<Policy> chosen{Policy::measured};
    return chosen;
}

void TeamSize::Pace::add(double more_seconds, double more_expected) {
    constexpr double window = 0.1;
    if (seconds > window) {
        expected *= window / seconds;
        seconds = window;
    }
    seconds += more_seconds;
    expected += more_expected;
    ++steps;
}

// ---- The memory ----

namespace {

std::size_t place_of(double expected, std::size_t places) {
    return std::size_t(std::clamp(std::log2(std::max(expected, 1e-6) / 1e-6), 0.0, double(places - 1)));
}

}  // namespace

TeamSize::State TeamSize::Memory::recall(double expected) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    return lock ? states_[place_of(expected, states_.size())] : State{};
}

void TeamSize::Memory::keep(const State& state, double expected) {
    if (const std::unique_lock lock(mutex_, std::try_to_lock); lock)
        states_[place_of(expected, states_.size())] = state;
}

TeamSize::~TeamSize() {
    if (now_.most > 1) memory_.keep(now_, expected_);
}

// ---- From one step to the next ----

int TeamSize::members(int most, double expected) {
    if (most <= 1) return 1;
    if (policy() == Policy::whole) return most;
    if (policy() == Policy::random) return 1 + int(random_number() % unsigned(most));
    if (most != now_.most) begin(most, expected);
    const int wanted = now_.trial > 0 ? now_.trial : now_.size;
    now_.fresh = wanted != std::exchange(now_.last, wanted);
    now_.at = Clock::now();
    return wanted;
}

bool TeamSize::lap(double expected) {
    if (policy() != Policy::measured) return policy() == Policy::whole || random_number() % 2 == 0;
    if (now_.most <= 1) return true;
    const auto now = Clock::now();
    const std::chrono::duration<double> seconds = now - std::exchange(now_.at, now);
    return measure(expected, seconds.count());
}

void TeamSize::region_begins() { spin_until = 0; }

void TeamSize::region_ended(int members) {
    spinners = members - 1;
    spin_until = ticks() + std::int64_t(1e9 * spinning);
}

void TeamSize::begin(int most, double expected) {
    const State before = memory_.recall(expected);
    const bool known = before.most == most;
    const std::chrono::duration<double> pause = Clock::now() - before.at;
    const bool calls = now_.calls;
    expected_ = expected;
    if (known && pause.count() < forgotten) {
        now_ = before;
        if (calls) return;
        now_.trial = now_.last = 0;
        forgive();
        return;
    }
    now_ = State{};
    now_.most = most;
    now_.calls = calls;
    const int idle = idle_processors();
    now_.wait = now_.first_wait = idle == unknown ? 0.02 : 0.002;
    now_.anyway_at = now_.anyway_wait = shortest_wait;
    now_.smaller_at = std::max(0.02, 30.0 * expected);
    now_.size = idle == unknown ? (expected > long_step ? most : 1) : std::clamp(1 + idle, 1, most);
    if (known) now_.size = std::max(now_.size, before.size);
}

bool TeamSize::measure(double expected, double seconds) {
    now_.worked += seconds;
    // The first step of a size wakes threads and moves data between caches; but on a crowded machine it tells.
    if (std::exchange(now_.fresh, false) && (seconds < lost || now_.patient || is_calm())) return true;
    return now_.trial > 0 ? keep_trying(seconds, expected) : stay(seconds, expected);
}

// Whether threads have to wait for processors.
bool TeamSize::is_crowded() const { return idle_processors() < others_that_sleep(); }

bool TeamSize::is_calm() const {
    const int idle = idle_processors();
    return idle != unknown && idle >= others_that_sleep();
}

// Whether a step was slow for reasons of its own, such as memory that is touched for the first time. Excused steps take
// at most a fifth of the time, or a team that is slow now and then would stay for ever.
bool TeamSize::is_excused(double seconds, double usual) {
    const bool is = seconds > 0.5 * lost && seconds > 2.5 * usual && now_.worked >= now_.excused_at && is_calm();
    if (is) now_.excused_at = now_.worked + 4.0 * seconds;
    return is;
}

bool TeamSize::stay(double seconds, double expected) {
    auto& pace = now_.pace;
    if (pace.steps > 0 && is_excused(seconds, pace.cost() * expected)) return true;
    pace.add(seconds, expected);
    const int half = (now_.size + 1) / 2;
    const bool half_known = now_.smaller_cost > 0.0, alone_known = now_.alone_cost > 0.0;
    const bool alone_is_better = alone_known && (!half_known || now_.alone_cost < now_.smaller_cost);
    const int smaller = alone_is_better ? 1 : half;
    if (now_.size > 1 && (half_known || alone_known)) {
        now_.regretted.add(seconds, expected);
        now_.regret += seconds - expected * (alone_is_better ? now_.alone_cost : now_.smaller_cost);
        if (now_.regret <= 0.0) forgive();
        if (now_.regret > (now_.stands_patiently ? slice : lost) + 0.25 * seconds)
            return try_out(smaller, now_.regretted.cost(), now_.stands_patiently);
    }
    const bool known = pace.seconds > long_step || (pace.steps > 2 && pace.seconds > 1e-4);
    if (!known) return true;
    if (now_.size > 1 && now_.worked >= now_.smaller_at) return try_out(half, pace.cost(), now_.stands_patiently);
    if (now_.worked < now_.look_at) return true;
    now_.look_at = now_.worked + glance;
    if (now_.size > 1 && !half_known && is_crowded()) return try_out(half, pace.cost(), false);
    if (now_.size == now_.most) return true;
    const int idle = idle_processors() - (now_.calls ? now_.size - 1 : 0);
    if (idle > 0 && now_.worked >= now_.larger_at)
        return try_out(std::min(now_.most, now_.size + idle), pace.cost(), false);
    now_.full_looks = idle < 0 || idle == unknown ? now_.full_looks + 1 : 0;
    if (now_.full_looks < 10 || now_.worked < now_.anyway_at) return true;
    return try_out(std::min(now_.most, 2 * now_.size), pace.cost(), true);
}

bool TeamSize::try_out(int size, double reference, bool patient) {
    now_.trial = size;
    now_.tried = {};
    now_.tried_from = now_.worked;
    now_.reference = reference;
    now_.patient = patient;
    return false;
}

bool TeamSize::keep_trying(double seconds, double expected) {
    auto& tried = now_.tried;
    // Those that the trial does without take processors for some milliseconds more.
    const bool others_still_spin = now_.worked < now_.tried_from + spinning && ticks() < spin_until;
    if (now_.trial == 1 && others_still_spin && !is_calm()) return true;
    if (is_excused(seconds, now_.reference * expected)) return true;
    tried.add(seconds, expected);
    const double gain = tried.expected * now_.reference - tried.seconds;
    if (gain < -(now_.patient ? slice : price)) return give_up();
    const double enough = now_.patient ? slices : 2e-3, worth = now_.patient ? 0.25 : 0.05;
    if (tried.steps > 1 && tried.seconds > enough && gain > worth * tried.seconds) return adopt();
    if (tried.steps > 2 && tried.seconds > 2e-2) return gain >= 0.0 && now_.trial < now_.size ? adopt() : give_up();
    return true;
}

bool TeamSize::give_up() {
    if (now_.trial > now_.size) {
        put_off();
    } else {
        if (now_.trial == (now_.size + 1) / 2) now_.smaller_cost = now_.tried.cost();
        if (now_.trial == 1) now_.alone_cost = now_.tried.cost();
        now_.smaller_at = now_.worked + std::max(longest_wait, 50.0 * now_.tried.seconds);
    }
    now_.trial = 0;
    now_.patient = false;
    forgive();
    return false;
}

bool TeamSize::adopt() {
    if (now_.trial > now_.size) {
        now_.smaller_cost = now_.size <= (now_.trial + 1) / 2 ? now_.pace.cost() : 0.0;
        if (now_.size == 1) now_.alone_cost = now_.pace.cost();
        now_.smaller_at = now_.worked + longest_wait;
        now_.since = now_.worked;
        now_.stands_patiently = now_.patient;
    } else {
        const double stood = now_.worked - now_.since;
        if (stood > lasting) now_.wait = now_.first_wait;
        if (stood > 5.0 * lasting) now_.anyway_wait = shortest_wait;
        now_.patient = now_.stands_patiently;
        put_off();
        now_.smaller_cost = 0.0;
        now_.stands_patiently = false;
    }
    now_.patient = false;
    now_.size = std::exchange(now_.trial, 0);
    now_.pace = now_.tried;
    forgive();
    return true;
}

// A larger team has not been worth it.
void TeamSize::put_off() {
    auto& wait = now_.patient ? now_.anyway_wait : now_.wait;
    now_.anyway_at = std::max(now_.anyway_at, now_.worked + now_.anyway_wait);
    if (!now_.patient) now_.larger_at = now_.worked + wait;
    wait = std::min(longest_wait, (now_.patient ? 4.0 : 2.0) * wait);
}

void TeamSize::forgive() {
    now_.regretted = {};
    now_.regret = 0.0;
}

}  // namespace fg
