// The entry points of OpenMP that the core uses, on std::thread: for ThreadSanitizer, which does not see what libgomp's
// own barriers order, and so reports races that are none. CONTRIBUTING.md says how to use it.
#include <barrier>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace {

struct Region {
    explicit Region(int members) : members(members), meeting(members) {}
    const int members;
    std::barrier<> meeting;
    std::mutex mutex;
    unsigned singles = 0;  // blocks for one member that have been taken
};

thread_local Region* region = nullptr;
thread_local int member = 0;
thread_local unsigned met = 0;  // blocks for one member that this one has come to

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned) {
    if (region) {  // nested: nobody else
        body(data);
        return;
    }
    Region own(threads ? int(threads) : 1);
    const auto run = [&](int number) {
        region = &own, member = number, met = 0;
        body(data);
        region = nullptr, member = 0;
    };
    std::vector<std::thread> others;
    for (int number = 1; number < own.members; ++number) others.emplace_back(run, number);
    run(0);
    for (auto& other : others) other.join();
}

EXPORTED bool GOMP_single_start() {
    if (!region) return true;
    std::lock_guard lock(region->mutex);
    return met++ == region->singles && ++region->singles > 0;
}

EXPORTED void GOMP_barrier() {
    if (region) region->meeting.arrive_and_wait();
}

EXPORTED int omp_get_thread_num() { return member; }
EXPORTED int omp_get_num_threads() { return region ? region->members : 1; }
EXPORTED int omp_get_max_threads() {
    const char* const given = std::getenv("OMP_NUM_THREADS");
    return given ? std::atoi(given) : 4;
}
