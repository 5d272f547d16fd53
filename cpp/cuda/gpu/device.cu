// A GPU behind cuda/device.h: one stream for each, memory from the driver's own pool in the order of that stream.
#include "cuda/device.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

#include "cuda/launch.h"

namespace attnkit::cuda {
namespace {

// "[cuda:0] expected 3,2 GB ..." as a std::bad_alloc, which the bindings make a MemoryError.
class OutOfMemory final : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what) : what_(std::move(what)) {}
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

thread_local int current = -1;

[[noreturn]] void Throw(cudaError_t error, const char* what) {
  std::ostringstream text;
  text << "[cuda:" << (current < 0 ? 0 : current) << "] " << what << ": " << cudaGetErrorString(error);
  throw std::runtime_error(text.str());
}

void Check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // forgotten, where it can be
  Throw(error, what);
}

// Made once a device, when it is first used.
struct Queue {
  std::once_flag made;
  cudaStream_t stream = nullptr;
  bool tensor_cores = false;
};

// Says what the kernels that run here were compiled for: that may be older than the device.
__global__ void Probe() {}

Queue& QueueOf(int device) {
  static Queue* queues = new Queue[kMostDevices];  // never destroyed: tensors may outlive what is static
  return queues[device];
}

void Make(Queue& queue) {
  cudaFuncAttributes compiled;
  Check(cudaFuncGetAttributes(&compiled, Probe), "its kernels");
  queue.tensor_cores = compiled.ptxVersion >= 80;
  Check(cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking), "a stream");
  cudaMemPool_t pool;
  Check(cudaDeviceGetDefaultMemPool(&pool, current), "its pool of memory");
  // What was freed stays in the pool: after the first step nothing is asked of the driver.
  uint64_t all = UINT64_MAX;
  Check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "its pool of memory");
}

const Queue& Made() {
  Queue& queue = QueueOf(current);
  std::call_once(queue.made, [&] { Make(queue); });
  return queue;
}

std::string Gigabytes(size_t bytes) {
  std::ostringstream text;
  text.precision(3);
  text << static_cast<double>(bytes) / 1e9 << " GB";
  return text.str();
}

[[noreturn]] void ThrowOutOfMemory(size_t bytes) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  std::ostringstream text;
  text << "[cuda:" << current << "] expected " << Gigabytes(bytes) << " more, got no memory for it: " << Gigabytes(free)
       << " of " << Gigabytes(total) << " are free; a smaller batch needs less";
  throw OutOfMemory(text.str());
}

}  // namespace

void UseDevice(int device) {
  if (current == device) return;
  current = device;
  Check(cudaSetDevice(device), "the device");
}

int CurrentDevice() { return current; }

cudaStream_t Stream() { return Made().stream; }

bool HasTensorCores() { return Made().tensor_cores; }

void CheckLaunch() { Check(cudaGetLastError(), "a kernel"); }

void* AllocateOnDevice(size_t bytes) {
  void* block = nullptr;
  const cudaError_t error = cudaMallocAsync(&block, bytes ? bytes : 1, Stream());
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    ThrowOutOfMemory(bytes);
  }
  Check(error, "memory");
  return block;
}

void FreeOnDevice(void* block, size_t) noexcept {
  // At the end of the process the driver may be gone before a tensor is.
  if (cudaFreeAsync(block, Stream()) != cudaSuccess) cudaGetLastError();
}

void CopyToDevice(const void* host, size_t bytes, void* device) {
  if (!bytes) return;
  // Of pageable memory CUDA takes a copy before it returns.
  Check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, Stream()), "a copy to it");
}

void CopyToHost(const void* device, size_t bytes, void* host) {
  if (!bytes) return;
  Check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, Stream()), "a copy from it");
  Check(cudaStreamSynchronize(Stream()), "what was asked of it before");
}

}  // namespace attnkit::cuda
