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
//     a second; once a second even where no processor is idle, for two threads get more of a full machine than one. The
//     smaller size is tried every second.
//   * A size in use is compared, step by step, with what the next smaller one took. Where it has lost a millisecond
//     since it last was even, the smaller one is tried.
//   * A single step may be slow for reasons of its own (memory that is touched for the first time): it does not count
//     if no thread has to wait for a processor.
//
// Measurements are in DECISIONS.md.
#include "core/team_size.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#if defined(__linux__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace fg {

namespace {

constexpr double longest_wait = 1.0;  // seconds between trials
constexpr double lost = 1e-3;         // that tell that a smaller team is better
constexpr double price = 3e-4;        // that a trial may lose
constexpr double lasting = 0.1;       // after which a size has stood the test
constexpr double long_step = 2e-3;
constexpr double glance = 2e-3;   // seconds between two looks at the processors
constexpr int unknown = 1 << 20;  // how many processors are idle

// Threads of a region that has ended spin for some milliseconds, in case that another begins.
constexpr double spinning = 0.012;
std::atomic<std::int64_t> spin_until{0};
std::atomic<int> spinners{0};

std::int64_t ticks() { return TeamSize::Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

#if defined(__linux__)
// The fourth number of /proc/loadavg, which a read makes anew: threads that run or want to. It is opened each time (5
// microseconds), for a process may close all its files.
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

void TeamSize::Pace::add(double more_seconds, double more_work) {
    constexpr double window = 0.1;
    if (seconds > window) {
        work *= window / seconds;
        seconds = window;
    }
    seconds += more_seconds;
    work += more_work;
    ++steps;
}

int TeamSize::members(int most, double expected) {
    if (most <= 1) return 1;
    if (policy() == Policy::whole) return most;
    if (policy() == Policy::random) return 1 + int(random_number() % unsigned(most));
    if (most != most_) begin(most, expected);
    const int wanted = trial_ > 0 ? trial_ : size_;
    fresh_ = wanted != std::exchange(last_, wanted);
    at_ = Clock::now();
    return wanted;
}

bool TeamSize::lap(double work) {
    calls_ = false;
    if (policy() != Policy::measured) return policy() == Policy::whole || random_number() % 2 == 0;
    if (most_ <= 1) return true;
    const auto now = Clock::now();
    const std::chrono::duration<double> seconds = now - std::exchange(at_, now);
    return measure(work, seconds.count());
}

void TeamSize::called(double work, double seconds, int members) {
    calls_ = true;
    if (policy() == Policy::measured && most_ > 1 && members == last_) measure(work, seconds);
}

void TeamSize::region_begins() { spin_until = 0; }

void TeamSize::region_ended(int members) {
    spinners = members - 1;
    spin_until = ticks() + std::int64_t(1e9 * spinning);
}

void TeamSize::begin(int most, double expected) {
    *this = TeamSize{};
    most_ = most;
    const int idle = idle_processors();
    wait_ = first_wait_ = idle == unknown ? 0.02 : 0.002;
    anyway_at_ = longest_wait;
    smaller_at_ = std::max(0.02, 30.0 * expected);
    size_ = idle == unknown ? (expected > long_step ? most : 1) : std::clamp(1 + idle, 1, most);
}

bool TeamSize::measure(double work, double seconds) {
    worked_ += seconds;
    // The first step of a size wakes threads and moves data between caches; but on a crowded machine it tells.
    if (std::exchange(fresh_, false) && (seconds < lost || is_calm())) return true;
    return trial_ > 0 ? keep_trying(seconds, work) : stay(seconds, work);
}

// Whether threads have to wait for processors. Between calls the others of the team are not among those that run.
bool TeamSize::is_crowded() const { return idle_processors() < (calls_ ? last_ - 1 : 0); }

bool TeamSize::is_calm() const { return idle_processors() != unknown && !is_crowded(); }

// Whether a step was slow for reasons of its own, such as memory that is touched for the first time.
bool TeamSize::is_excused(double seconds, double usual) const {
    return seconds > 0.5 * lost && seconds > 2.5 * usual && is_calm();
}

bool TeamSize::stay(double seconds, double work) {
    if (pace_.steps > 0 && is_excused(seconds, pace_.cost() * work)) return true;
    pace_.add(seconds, work);
    const int smaller = (size_ + 1) / 2;
    if (size_ > 1 && smaller_cost_ > 0.0) {
        regretted_.add(seconds, work);
        regret_ += seconds - work * smaller_cost_;
        if (regret_ <= 0.0) forgive();
        if (regret_ > lost + 0.25 * seconds) return try_out(smaller, regretted_.cost());
    }
    const bool known = pace_.seconds > long_step || (pace_.steps > 2 && pace_.seconds > 1e-4);
    if (!known) return true;
    if (size_ > 1 && worked_ >= smaller_at_) return try_out(smaller, pace_.cost());
    if (worked_ < look_at_) return true;
    look_at_ = worked_ + glance;
    if (size_ > 1 && smaller_cost_ == 0.0 && is_crowded()) return try_out(smaller, pace_.cost());
    if (size_ == most_ || worked_ < larger_at_) return true;
    const int idle = idle_processors() - (calls_ ? size_ - 1 : 0);
    if (idle > 0) return try_out(std::min(most_, size_ + idle), pace_.cost());
    return worked_ < anyway_at_ || try_out(std::min(most_, 2 * size_), pace_.cost());
}

bool TeamSize::try_out(int size, double reference) {
    trial_ = size;
    tried_ = {};
    reference_ = reference;
    return false;
}

bool TeamSize::keep_trying(double seconds, double work) {
    if (is_excused(seconds, reference_ * work)) return true;
    tried_.add(seconds, work);
    const double gain = tried_.work * reference_ - tried_.seconds;
    if (gain < -price) return give_up();
    if (tried_.steps > 1 && tried_.seconds > 2e-3 && gain > 0.05 * tried_.seconds) return adopt();
    if (tried_.steps > 2 && tried_.seconds > 2e-2) return gain >= 0.0 && trial_ < size_ ? adopt() : give_up();
    return true;
}

bool TeamSize::give_up() {
    if (trial_ > size_) {
        put_off();
    } else {
        smaller_cost_ = tried_.cost();
        smaller_at_ = worked_ + std::max(longest_wait, 50.0 * tried_.seconds);
    }
    trial_ = 0;
    forgive();
    return false;
}

bool TeamSize::adopt() {
    if (trial_ > size_) {
        smaller_cost_ = pace_.cost();
        smaller_at_ = worked_ + longest_wait;
        since_ = worked_;
    } else {
        if (worked_ - since_ > lasting) wait_ = first_wait_;
        put_off();
        smaller_cost_ = 0.0;
    }
    size_ = std::exchange(trial_, 0);
    pace_ = tried_;
    forgive();
    return true;
}

// A larger team has not been worth it.
void TeamSize::put_off() {
    larger_at_ = worked_ + wait_;
    anyway_at_ = worked_ + longest_wait;
    wait_ = std::min(longest_wait, 2.0 * wait_);
}

void TeamSize::forgive() {
    regretted_ = {};
    regret_ = 0.0;
}

}  // namespace fg
