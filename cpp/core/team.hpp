// The threads. The only file with an OpenMP parallel region.
//
// Jobs are independent of each other and advance in slices whose size depends on the data alone, so results
// do not depend on the number of threads or on time. About every 50 ms the calling thread leaves the
// parallel region to let the caller look around (signals, verbose output).
#pragma once

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base.hpp"

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

// Where the members of a team wait for each other. They spin, because what they wait for takes a microsecond, and
// yield when it does not (a member whose processor is taken away).
class Barrier {
public:
    explicit Barrier(int members) : members_(members), missing_(members) {}

    void wait() {
        const unsigned round = round_.load(std::memory_order_relaxed);
        if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            missing_.store(members_, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
            if (spins < 256) {  // some 10 microseconds
                pause();
            } else {
                std::this_thread::yield();
            }
        }
    }

private:
    static void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }

    const int members_;
    alignas(64) std::atomic<int> missing_;
    alignas(64) std::atomic<unsigned> round_{0};
};

class Team {
public:
    explicit Team(int threads) : threads_(threads < 1 ? 1 : threads) {}

    // Runs every job to its end. look() is called between rounds on the calling thread and may throw;
    // the jobs then stay where they are.
    template <class Look>
    void run(const std::vector<Job*>& jobs, Look look) {
        std::deque<Job*> waiting(jobs.begin(), jobs.end());
        while (!waiting.empty()) {
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
            const int members = int(std::min<std::size_t>(waiting.size(), std::size_t(threads_)));
            if (members == 1) {
                work(waiting, deadline);
            } else if (in_forked_child()) {
                std::thread([&] { region(waiting, deadline, members); }).join();
            } else {
                region(waiting, deadline, members);
            }
            if (failure_) std::rethrow_exception(failure_);
            look();
        }
    }

    // Runs body(member) for every member at the same time. It may use a Barrier of `threads` and must not throw.
    template <class Body>
    static void together(int threads, const Body& body) {
        if (threads == 1) {
            body(0);
        } else if (in_forked_child()) {
            std::thread([&] { all(threads, body); }).join();
        } else {
            all(threads, body);
        }
    }

private:
    using Clock = std::chrono::steady_clock;

    // OpenMP may give fewer threads than asked for (nesting, limits); a barrier would then wait for ever, so the
    // missing ones are started by hand.
    template <class Body>
    static void all(int threads, const Body& body) {
        std::vector<std::thread> missing;
#pragma omp parallel num_threads(threads)
        {
#pragma omp single
            for (int member = omp_get_num_threads(); member < threads; ++member)
                missing.emplace_back([&body, member] { body(member); });
            body(omp_get_thread_num());
        }
        for (auto& thread : missing) thread.join();
    }

    void region(std::deque<Job*>& waiting, Clock::time_point deadline, int members) {
#pragma omp parallel num_threads(members)
        work(waiting, deadline);
    }

    // A member keeps its job until the job or the round ends, so that few jobs hold memory at a time.
    void work(std::deque<Job*>& waiting, Clock::time_point deadline) noexcept {
        for (;;) {
            Job* job = nullptr;
            {
                std::lock_guard lock(mutex_);
                if (waiting.empty() || Clock::now() >= deadline) return;
                job = waiting.front();
                waiting.pop_front();
            }
            bool more = true;
            try {
                while (more && Clock::now() < deadline) more = job->advance();
            } catch (...) {
                std::lock_guard lock(mutex_);
                failure_ = std::current_exception();
                waiting.clear();
                return;
            }
            if (more) {
                std::lock_guard lock(mutex_);
                waiting.push_front(job);
                return;
            }
        }
    }

    int threads_;
    std::mutex mutex_;
    std::exception_ptr failure_;
};

}  // namespace fg
