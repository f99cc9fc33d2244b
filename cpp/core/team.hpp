// The threads. The only file with an OpenMP parallel region.
//
// Jobs are independent of each other and advance in slices whose size depends on the data alone, so results
// do not depend on the number of threads or on time. About every 50 ms the calling thread leaves the
// parallel region to let the caller look around (signals, verbose output).
#pragma once

#include <omp.h>
#include <pthread.h>

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

private:
    using Clock = std::chrono::steady_clock;

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
