// Where the members of a team wait for each other.
#pragma once

#include <atomic>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/compiler.hpp"

namespace fg {

// Members spin, because what they wait for takes a microsecond as a rule; then they sleep. They never yield: a
// processor that is given up for a neighbour is lost for its slice of some milliseconds, where a sleeper that is woken
// gets it back at once.
class Barrier {
public:
    explicit Barrier(int members) : members_(members), missing_(members) {}

    void wait() {
        const int round = round_.load(std::memory_order_relaxed);
        if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            missing_.store(members_, std::memory_order_relaxed);
            // Before the look for sleepers, as they are counted before their look at the round.
            round_.store(round + 1);
            if (sleepers_.load() > 0) wake();
            return;
        }
        for (int k = 0; k < spins; ++k) {
            if (round_.load(std::memory_order_acquire) != round) return;
            pause_briefly();
        }
        sleepers_.fetch_add(1);
        while (round_.load() == round) sleep(round);
        sleepers_.fetch_sub(1);
    }

private:
    // Some 0.3 milliseconds, the waits of a recurrent network's steps: who sleeps takes up to 0.1 to wake.
    static constexpr int spins = 1 << 14;

#if defined(__linux__)
    // std::atomic's own wait() yields before it sleeps.
    void sleep(int round) { syscall(SYS_futex, &round_, FUTEX_WAIT_PRIVATE, round, nullptr, nullptr, 0); }
    void wake() { syscall(SYS_futex, &round_, FUTEX_WAKE_PRIVATE, members_, nullptr, nullptr, 0); }
    static_assert(sizeof(std::atomic<int>) == sizeof(int));
#else
    void sleep(int round) { round_.wait(round); }
    void wake() { round_.notify_all(); }
#endif

    const int members_;
    alignas(64) std::atomic<int> missing_;
    alignas(64) std::atomic<int> round_{0};
    std::atomic<int> sleepers_{0};
};

}  // namespace fg
