// Runs one small kernel that is wrong (cpp/cuda/emulation/faulty.cc) and prints what it wrote. tests/core/test_races.py
// compiles this for the race detector.
#include <cstdio>
#include <cstdlib>

#include "cuda/emulation/faulty.h"
#include "cuda/emulation/machine.h"

int main(int, char** arguments) {
  attnkit::emulation::SetSeed(static_cast<uint64_t>(std::atoll(arguments[2])));
  std::printf("%d\n", attnkit::cuda::RunFaultyKernel(arguments[1]));
}
