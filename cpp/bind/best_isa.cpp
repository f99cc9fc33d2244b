// Run while the build is configured: its exit status is the best x86-64 level of this processor.
#include "bind/levels.hpp"

int main() { return fg::best_level(); }
