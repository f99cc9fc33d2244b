// The threads. The only file with an OpenMP parallel region.
//
// Jobs are independent of each other and advance in slices whose size depends on the data alone, so results
// do not depend on the number of threads or on time. About every 50 ms the calling thread leaves the
// parallel region to let the caller look around (signals, verbose output).
#pragma once

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/barrier.hpp"
#include "core/base.hpp"
#include "core/team_size.hpp"

namespace fg {

class Job {
public:
    virtual ~Job() = default;
    virtual bool advance() = 0;  // one slice of work; false once there is none left
};

// libgomp's threads do not survive fork(), and a region started by the forking thread would wait for them
// for ever. In a forked child regions are therefore started from a fresh thread, which gets a pool of its own.
inline bool& in_forked_child() {
    static bool forked = false;
    return forked;
}

inline void watch_for_fork() {
    pthread_atfork(nullptr, nullptr, [] { in_forked_child() = true; });
}

// Work that can be called off in its midst. Member 0 looks about every 50 ms, between pieces of its work, whether
// somebody wants that; the others hear of it. Whoever calls work off leaves it without a result.
class Watch {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr auto pause = std::chrono::milliseconds(50);

    // callback() says whether to go on. It is called on the thread that makes the watch, and nowhere else.
    explicit Watch(std::function<bool()> callback)
        : callback_(std::move(callback)), owner_(std::this_thread::get_id()) {}

    // Between two pieces of a member's work: whether it has been called off.
    bool called_off(int member) {
        if (member == 0 && Clock::now() >= next_ && std::this_thread::get_id() == owner_) poll();
        return off();
    }
    bool off() const { return off_.load(std::memory_order_relaxed); }
    // Whether to go on.
    bool poll() {
        if (!off() && !callback_()) off_.store(true, std::memory_order_relaxed);
        next_ = Clock::now() + pause;
        return !off();
    }

private:
    const std::function<bool()> callback_;
    const std::thread::id owner_;
    Clock::time_point next_ = Clock::now() + pause;
    std::atomic<bool> off_{false};
};

// The first exception of the members of a team.
class Failure {
public:
    template <class Body>
    void guard(const Body& body) noexcept {
        try {
            body();
        } catch (...) {
            std::lock_guard lock(mutex_);
            if (!first_) first_ = std::current_exception();
        }
    }
    void rethrow() const {
        if (first_) std::rethrow_exception(first_);
    }

private:
    std::mutex mutex_;
    std::exception_ptr first_;
};

// Threads that a team has unless it is told otherwise: OpenMP's limit (OMP_NUM_THREADS, omp_set_num_threads), within
// what the process may use (processors, a container's quota), which the caller of the core knows.
inline std::atomic<int>& usable_threads() {
    static std::atomic<int> usable{std::numeric_limits<int>::max()};
    return usable;
}
inline int allowed_threads() { return std::max(1, std::min(omp_get_max_threads(), usable_threads().load())); }

class Team {
public:
    explicit Team(int threads) : threads_(threads < 1 ? 1 : threads) {}

    // Runs every job to its end. callback() is called between rounds on the calling thread and may throw;
    // the jobs then stay where they are.
    template <class Callback>
    void run(const std::vector<Job*>& jobs, Callback callback) {
        // A stack, whose top is the first job to take. It never grows, so that no member needs memory.
        std::vector<Job*> waiting(jobs.rbegin(), jobs.rend());
        const int most = startable(int(std::min<std::size_t>(waiting.size(), std::size_t(threads_))));
        while (!waiting.empty()) {
            const auto deadline = Watch::Clock::now() + Watch::pause;
            const int members = int(std::min<std::size_t>(waiting.size(), std::size_t(most)));
            together(members, [&](int) { work(waiting, deadline); });
            callback();
        }
    }

    // Runs body(member) for every member at the same time, and throws what one of them has thrown. A body that waits at
    // a Barrier (of `threads`) must not throw.
    template <class Body>
    static void together(int threads, const Body& body) {
        if (threads == 1) {
            body(0);
        } else if (in_forked_child()) {
            Failure failure;
            std::thread([&] { failure.guard([&] { all(threads, body); }); }).join();
            failure.rethrow();
        } else {
            all(threads, body);
        }
    }

    // The same in a region of as many as pay, at most `most`, for work that takes about `expected` seconds alone. Calls
    // body(member, members).
    template <class Body>
    static void call(TeamSize::Memory& memory, int most, double expected, const Body& body) {
        TeamSize::call(memory, most, expected,
                       [&](int members) { together(members, [&](int member) { body(member, members); }); });
    }

    // Members for so many portions of work, at most one for each: as many as are allowed and can be had.
    static int most(double portions, int threads) {
        constexpr int most = 256;
        return startable(int(std::clamp(portions, 1.0, double(std::clamp(threads, 1, most)))));
    }

    // As many threads as wanted, or as many as the process can start. libgomp ends the process where it cannot start
    // one, so those that it would have to start are started here first, for a moment.
    static int startable(int wanted) {
        const int known = in_forked_child() ? 1 : pool();
        if (wanted <= known) return wanted;
        constexpr int spare = 2;  // threads that have ended may count for some microseconds more
        const int needed = wanted - known + spare;
        std::atomic<bool> ended{false};
        std::vector<std::thread> tried;
        tried.reserve(std::size_t(needed));
        try {
            while (int(tried.size()) < needed) tried.emplace_back([&] { ended.wait(false); });
        } catch (const std::system_error&) {  // no more to be had
        }
        ended = true;
        ended.notify_all();
        for (auto& thread : tried) thread.join();
        const int found = int(tried.size());
        if (found == needed) return wanted;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        return known + std::max(0, found - spare);
    }

private:
    // How many threads libgomp keeps for this one, itself included: as many as the last region had.
    static int& pool() {
        thread_local int size = 1;
        return size;
    }

    // OpenMP may give fewer threads than asked for (nesting, limits); a barrier would then wait for ever, so the
    // missing ones are started by hand. Nobody begins before all are there.
    template <class Body>
    static void all(int threads, const Body& body) {
        enum : int { open, complete, incomplete };
        std::atomic<int> verdict{open};
        Failure failure;
        std::vector<std::thread> missing;
        missing.reserve(std::size_t(threads));
        const auto begin = [&](int member) {
            verdict.wait(open);
            if (verdict == complete) failure.guard([&] { body(member); });
        };
        TeamSize::region_begins();
#pragma omp parallel num_threads(threads)
        {
#pragma omp single
            {
                failure.guard([&] {
                    verdict = open;
                    for (int member = omp_get_num_threads(); member < threads; ++member)
                        missing.emplace_back([&begin, member] { begin(member); });
                    verdict = complete;
                });
                if (verdict == open) verdict = incomplete;
                verdict.notify_all();
            }
            begin(omp_get_thread_num());
        }
        pool() = threads;
        TeamSize::region_ended(threads);
        for (auto& thread : missing) thread.join();
        failure.rethrow();
    }

    // A member keeps its job until the job or the round ends, so that few jobs hold memory at a time.
    void work(std::vector<Job*>& waiting, Watch::Clock::time_point deadline) {
        for (;;) {
            Job* job = nullptr;
            {
                std::lock_guard lock(mutex_);
                if (waiting.empty() || Watch::Clock::now() >= deadline) return;
                job = waiting.back();
                waiting.pop_back();
            }
            bool more = true;
            try {
                while (more && Watch::Clock::now() < deadline) more = job->advance();
            } catch (...) {
                std::lock_guard lock(mutex_);
                waiting.clear();
                throw;
            }
            if (more) {
                std::lock_guard lock(mutex_);
                waiting.push_back(job);
                return;
            }
        }
    }

    const int threads_;
    std::mutex mutex_;
};

}  // namespace fg
