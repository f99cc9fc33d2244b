// Run while the build is configured: exits with the best x86-64 level of this processor.
int main() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    return __builtin_cpu_supports("x86-64-v3") ? 3 : 2;
}
