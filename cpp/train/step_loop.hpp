// How a team goes through the steps of training: in parallel regions of about 50 ms, after each of which the calling
// thread polls its callback, and with as many members as pay, which may change between any two steps.
#pragma once

#include <algorithm>

#include "core/team.hpp"

namespace fg {

// Items begin, ..., end - 1.
struct ItemRange {
    Index begin, end;
};

// Those of `total` items that fall to a member, cut at multiples of `grain`.
inline ItemRange member_range(Index total, int member, int members, Index grain) {
    const Index grains = (total + grain - 1) / grain;
    const auto cut = [&](Index m) { return std::min(total, grains * m / members * grain); };
    return {cut(member), cut(member + 1)};
}

// Steps are an object with
//   expected(k)    seconds that step k takes if made alone, roughly; the first is none of the shorter ones
//   divide(members)
//                  cuts the work for so many members; called on the calling thread, between any two steps
//   step(k, member, members, barrier)
//                  a member's part of step k. It waits at the barrier at least once; after its last wait it writes
//                  nothing that another member reads before the step is closed. A step that the watch calls off changes
//                  nothing, and all members agree whether it is called off.
//   close(k)       called by member 0 when it is done with its part of step k, before any member begins the next;
//   whether
//                  training can go on. The others may still be behind their last wait. A step that is called off is not
//                  closed.
class StepLoop {
public:
    explicit StepLoop(TeamSize::Memory& memory) : team_size_(memory) {}

    // Takes steps 0, ..., last - 1, fewer if they are called off or cannot go on. Returns how many were taken.
    template <class Steps>
    Index run(Steps& steps, Index last, int most_members, Watch& watch) {
        Index next = 0;
        bool sound = true;
        for (bool wanted = true; wanted && sound && next < last;) {
            const auto deadline = Watch::Clock::now() + Watch::pause;
            while (sound && next < last && Watch::Clock::now() < deadline && !watch.off())
                sound = region(steps, team_size_.members(most_members, steps.expected(0)), next, last, deadline, watch);
            wanted = watch.poll();
        }
        return next;
    }

    // A single step, which is not closed.
    template <class Steps>
    void run_once(Steps& steps, int most_members) {
        const int members = team_size_.members(most_members, steps.expected(0));
        steps.divide(members);
        Barrier barrier(members);
        Team::together(members, [&](int member) {
            steps.step(0, member, members, barrier);
            barrier.wait();
        });
        team_size_.lap(steps.expected(0));
    }

private:
    // Steps until the deadline, or until the team changes its size. Whether training can go on.
    template <class Steps>
    bool region(Steps& steps, int members, Index& next, Index last, Watch::Clock::time_point deadline,
                const Watch& watch) {
        steps.divide(members);
        Barrier barrier(members);
        const Index begin = next;
        bool sound = true, more = true;  // member 0 writes them before the barrier that ends a step
        Team::together(members, [&](int member) {
            for (Index k = begin;; ++k) {
                steps.step(k, member, members, barrier);
                if (member == 0) {
                    more = !watch.off();
                    if (more) {
                        sound = steps.close(k);
                        next = k + 1;
                        more =
                            team_size_.lap(steps.expected(k)) && sound && next < last && Watch::Clock::now() < deadline;
                    }
                }
                barrier.wait();
                if (!more) break;
            }
        });
        return sound;
    }

    TeamSize team_size_;
};

}  // namespace fg
