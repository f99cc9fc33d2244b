// The x86-64 levels. No other header, for it is compiled alone while the build is configured, too.
#pragma once

namespace fg {

// The best that this processor runs; 1 if it lacks something of level 2.
inline int best_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
    if (__builtin_cpu_supports("x86-64-v2")) return 2;
#endif
    return 1;
}

}  // namespace fg
