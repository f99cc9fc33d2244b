// Switches valgrind's callgrind on and off, from Python by ctypes; see kernels.py.

#include <valgrind/callgrind.h>

extern "C" void start() { CALLGRIND_START_INSTRUMENTATION; }

extern "C" void stop() {
    CALLGRIND_STOP_INSTRUMENTATION;
    CALLGRIND_DUMP_STATS;
}
