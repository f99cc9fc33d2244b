// How many members a team has: as many as pay, measured. The policy is in team_size.cpp.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

#include "core/base.hpp"

namespace fg {

class TeamSize {
public:
    using Clock = std::chrono::steady_clock;

    // For tests and measurements: sizes as measured; always all members; random ones.
    enum class Policy { measured, whole, random };
    static std::atomic<Policy>& policy();

    // Members for the steps that come, at most `most`. A step takes about `expected` seconds if made alone.
    int members(int most, double expected);

    // Called by the first member, on the thread that called members(), after each step; `work` is its size in any
    // unit. Whether to go on with these members.
    bool lap(double work);

    // The same, for steps that are calls of their own. Of a number of members that is not in use any more they tell
    // nothing.
    void called(double work, double seconds, int members);

    // Called around a region of OpenMP.
    static void region_begins();
    static void region_ended(int members);

private:
    // Seconds and work of about the last tenth of a second.
    struct Pace {
        double seconds = 0.0, work = 0.0;
        int steps = 0;

        void add(double more_seconds, double more_work);
        double cost() const { return seconds / work; }
    };

    void begin(int most, double expected);
    bool measure(double work, double seconds);
    bool is_crowded() const;
    bool is_calm() const;
    bool is_excused(double seconds, double usual) const;
    bool stay(double seconds, double work);
    bool try_out(int size, double reference);
    bool keep_trying(double seconds, double work);
    bool give_up();
    bool adopt();
    void put_off();
    void forgive();

    int most_ = 0, size_ = 1, trial_ = 0, last_ = 0;  // trial_: the size that is tried, or 0
    bool fresh_ = false, calls_ = false;              // the next step is the first of its size; steps are calls
    Clock::time_point at_{};                          // when the last step ended
    Pace pace_, tried_;                               // of the size in use; of the trial
    double reference_ = 0.0;                          // the cost that a trial is compared with
    double worked_ = 0.0;                             // seconds of all steps, by which all that follows is timed
    // The larger size: when to look for idle processors, when to try it on them or anyway, and how long to wait after
    // the next failure, and after the first.
    double look_at_ = 0.0, larger_at_ = 0.0, anyway_at_ = 0.0, wait_ = 0.0, first_wait_ = 0.0;
    // The smaller size: what it costs (0: unknown), when to try it, since when the larger is in use, and what that has
    // lost since it last was even.
    double smaller_cost_ = 0.0, smaller_at_ = 0.0, since_ = 0.0, regret_ = 0.0;
    Pace regretted_;
};

// The size of teams for a kind of call that any thread may make.
class CallSize {
public:
    // Calls body(members), at most `most`, for work of any unit that takes about `expected` seconds alone.
    template <class Body>
    void run(int most, double work, double expected, const Body& body) {
        int members = 1;
        // Who finds somebody else measuring works alone: a lock that is held when the process forks is held for ever.
        if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) members = size_.members(most, expected);
        const auto begin = TeamSize::Clock::now();
        body(members);
        const std::chrono::duration<double> seconds = TeamSize::Clock::now() - begin;
        if (most <= 1) return;
        if (const std::unique_lock lock(mutex_, std::try_to_lock); lock) size_.called(work, seconds.count(), members);
    }

private:
    std::mutex mutex_;
    TeamSize size_;
};

}  // namespace fg
