// How many members a team has: as many as pay, measured. The policy is in team_size.cpp.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>

#include "core/base.hpp"

namespace fg {

// "Expected" is the time that work takes if made alone, in seconds and roughly: costs are measured in multiples of it.
class TeamSize {
public:
    using Clock = std::chrono::steady_clock;

    // For tests and measurements: sizes as measured; always all members; random ones.
    enum class Policy { measured, whole, random };
    static std::atomic<Policy>& policy();

    class Memory;

    // Begins with what was known when work of the same kind ended last, and leaves there what it knows.
    explicit TeamSize(Memory& memory) : memory_(memory) {}
    ~TeamSize();
    TeamSize(const TeamSize&) = delete;
    TeamSize& operator=(const TeamSize&) = delete;

    // Members for the steps that come, at most `most`.
    int members(int most, double expected);

    // Called by the first member, on the thread that called members(), after each step. Whether to go on with these
    // members.
    bool lap(double expected);

    // Called around a region of OpenMP.
    static void region_begins();
    static void region_ended(int members);

    // Calls body(members), at most `most`, and measures it: for work whose steps are calls of their own. A static
    // memory serves all threads that make calls of one kind.
    template <class Body>
    static void call(Memory& memory, int most, double expected, const Body& body) {
        TeamSize size(memory);
        size.now_.calls = true;
        body(size.members(most, expected));
        size.lap(expected);
    }

private:
    // Seconds, and expected seconds, of about the last tenth of a second.
    struct Pace {
        double seconds = 0.0, expected = 0.0;
        int steps = 0;

        void add(double more_seconds, double more_expected);
        double cost() const { return seconds / expected; }
    };

    struct State {
        int most = 0, size = 1, trial = 0, last = 0;  // trial: the size that is tried, or 0
        bool calls = false;                           // steps are calls: the others sleep or spin between them
        int full_looks = 0;                           // so many in a row have found a neighbour on every processor
        bool fresh = false;                           // the next step is the first of its size
        bool patient = false;                         // the trial is made although no processor is idle
        bool stands_patiently = false;                // so was the one that led to the size in use
        Clock::time_point at{};                       // when the last step ended
        Pace pace, tried;                             // of the size in use; of the trial
        double reference = 0.0, tried_from = 0.0;     // the cost that a trial is compared with, and when it began
        double worked = 0.0;                          // seconds of all steps, by which all that follows is timed
        double excused_at = 0.0;                      // when the next slow step may be excused
        // The larger size: when to look for idle processors, and when to try it on them, or anyway; how long to wait
        // after the next failure.
        double look_at = 0.0, larger_at = 0.0, wait = 0.0, first_wait = 0.0, anyway_at = 0.0, anyway_wait = 0.0;
        // Smaller sizes: what half the members cost, or fewer, and one alone (0: unknown); when to try them; since when
        // the larger size is in use, and what it has lost since it last was even.
        double smaller_cost = 0.0, alone_cost = 0.0, smaller_at = 0.0, since = 0.0, regret = 0.0;
        Pace regretted;
    };

    void begin(int most, double expected);
    bool measure(double expected, double seconds);
    int others_that_sleep() const { return now_.calls ? now_.last - 1 : 0; }
    bool is_crowded() const;
    bool is_calm() const;
    bool is_excused(double seconds, double usual);
    bool stay(double seconds, double expected);
    bool try_out(int size, double reference, bool patient);
    bool keep_trying(double seconds, double expected);
    bool give_up();
    bool adopt();
    void put_off();
    void forgive();

    Memory& memory_;
    State now_;
    double expected_ = 0.0;  // of a step
};

// What was known when work ended last, by the length of its steps: a power of two.
class TeamSize::Memory {
public:
    // The memory of all work of a kind.
    template <class Kind>
    static Memory& of() {
        static Memory memory;
        return memory;
    }

    // Nothing (most: 0) where nothing is known. Who finds somebody else here goes without: a lock that is held when
    // the process forks is held for ever.
    State recall(double expected);
    void keep(const State& state, double expected);

private:
    std::mutex mutex_;
    std::array<State, 24> states_{};
};

}  // namespace fg
