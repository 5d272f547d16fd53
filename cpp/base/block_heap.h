// Blocks of any size, cut from large regions of the system's memory: a free block is cut where less is wanted, and
// grows together again with the free ones beside it. So work that asks for ever other sizes, as batches of sentences
// do, holds little more than it uses at once. Both cost the same few steps however many blocks there are: free blocks
// lie in lists by size, and a bit for each list says whether it is empty (TLSF: Masmano et al., 2004,
// https://doi.org/10.1109/EMRTS.2004.1311009).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "attnkit/allocator.h"

namespace attnkit {

// For one thread at a time.
class BlockHeap {
 public:
  // Memory for `bytes` <= kMostBytes that the heap has free, or nothing.
  void* Take(size_t bytes) {
    const size_t wanted = Rounded(bytes);
    const int bin = FirstFilled(BinOf(wanted));
    if (bin < 0) return nullptr;
    Block* block = bins_[bin];
    Unlist(block);
    Cut(block, wanted);
    bytes_dirty_ -= block->dirty;
    block->free = false;
    return block + 1;
  }

  // Asks the system for a region with room for `bytes`; false where there is none.
  bool Grow(size_t bytes) {
    const size_t wanted = Rounded(bytes);
    const size_t usual = Rounded(std::clamp(bytes_held_ / 4, kLeastRegion, kMostRegion));
    return AddRegion(std::max(wanted, usual)) || (wanted < usual && AddRegion(wanted));
  }

  void Give(void* memory) noexcept {
    Block* block = static_cast<Block*>(memory) - 1;
    block->dirty = block->bytes;
    bytes_dirty_ += block->dirty;
    if (Block* after = After(block); after && after->free) {
      Unlist(after);
      Join(block, after);
    }
    if (Block* before = block->before; before && before->free) {
      Unlist(before);
      Join(before, block);
      block = before;
    }
    List(block);
  }

  // Gives the system what is free: whole regions, and the pages inside the others.
  void Trim() {
    for (Block* first : bins_) {
      for (Block *block = first, *next = nullptr; block; block = next) {
        next = block->next;
        bytes_dirty_ -= block->dirty;
        block->dirty = 0;
        if (!block->before && block->last) {
          Unlist(block);
          bytes_held_ -= block->bytes;
          std::free(block);
        } else {
          DropPages(block);
        }
      }
    }
  }

  // Of the block that `Take` gave, all of it.
  static size_t BytesOf(const void* memory) { return (static_cast<const Block*>(memory) - 1)->bytes; }
  // Free, and written to since the system gave it.
  size_t bytes_dirty() const { return bytes_dirty_; }

 private:
  // Stands before its memory.
  struct alignas(kBlockAlignment) Block {
    size_t bytes;            // with this head
    size_t dirty;            // of a free block: how many of its bytes may take a page of the system
    Block* before;           // the one that ends where this begins; none at a region's begin
    Block *next, *previous;  // of a free block: in its list
    bool free, last;         // last: of its region
  };
  static_assert(sizeof(Block) == kBlockAlignment);

  static constexpr int kLog2Steps = 5;  // lists between two powers of two: at most a 32nd of a block is unused
  static constexpr int kLeastLog2 = 12;
  static constexpr size_t kLeastBlock = size_t{1} << kLeastLog2;  // a smaller rest stays with the block
  static constexpr int kBins = (48 - kLeastLog2) << kLog2Steps;   // up to kMostBytes and beyond
  // A region is no larger than it must be for the memory of a small model, and takes pages only as they are written to.
  static constexpr size_t kLeastRegion = size_t{4} << 20, kMostRegion = size_t{64} << 20;

  static int Log2(size_t x) { return 63 - __builtin_clzll(x); }

  // The size of a block for `bytes`: the least of a list, so that whatever lies in that list is large enough.
  static size_t Rounded(size_t bytes) {
    const size_t all = std::max(bytes + sizeof(Block), kLeastBlock);
    const size_t step = size_t{1} << (Log2(all) - kLog2Steps);
    return (all + step - 1) & ~(step - 1);
  }

  static int BinOf(size_t bytes) {
    const int log2 = Log2(bytes);
    const int step = static_cast<int>(bytes >> (log2 - kLog2Steps)) & ((1 << kLog2Steps) - 1);
    return ((log2 - kLeastLog2) << kLog2Steps) + step;
  }

  int FirstFilled(int bin) const {
    uint64_t bits = filled_[bin / 64] & (~uint64_t{0} << (bin % 64));
    for (size_t word = bin / 64;; bits = filled_[word]) {
      if (bits) return static_cast<int>(word) * 64 + __builtin_ctzll(bits);
      if (++word == filled_.size()) return -1;
    }
  }

  static Block* After(Block* block) {
    return block->last ? nullptr : reinterpret_cast<Block*>(reinterpret_cast<char*>(block) + block->bytes);
  }

  void List(Block* block) {
    const int bin = BinOf(block->bytes);
    block->free = true;
    block->previous = nullptr;
    block->next = bins_[bin];
    if (block->next) block->next->previous = block;
    bins_[bin] = block;
    filled_[bin / 64] |= uint64_t{1} << (bin % 64);
  }

  void Unlist(Block* block) {
    const int bin = BinOf(block->bytes);
    (block->previous ? block->previous->next : bins_[bin]) = block->next;
    if (block->next) block->next->previous = block->previous;
    if (!bins_[bin]) filled_[bin / 64] &= ~(uint64_t{1} << (bin % 64));
  }

  // Leaves `bytes` to a block that is in no list, at its begin, where memory has been written to sooner than at its
  // end.
  void Cut(Block* block, size_t bytes) {
    if (block->bytes - bytes < kLeastBlock) return;
    Block* rest = reinterpret_cast<Block*>(reinterpret_cast<char*>(block) + bytes);
    rest->bytes = block->bytes - bytes;
    rest->dirty = block->dirty - std::min(block->dirty, bytes);
    rest->before = block;
    rest->last = block->last;
    block->bytes = bytes;
    block->dirty -= rest->dirty;
    block->last = false;
    if (Block* after = After(rest)) after->before = rest;
    List(rest);
  }

  // Both free, neither in a list.
  static void Join(Block* block, Block* after) {
    block->bytes += after->bytes;
    block->dirty += after->dirty;
    block->last = after->last;
    if (Block* next = After(block)) next->before = block;
  }

  bool AddRegion(size_t bytes) {
    void* memory = std::aligned_alloc(kBlockAlignment, bytes);
    if (!memory) return false;
    auto* block = static_cast<Block*>(memory);
    block->bytes = bytes;
    block->dirty = 0;
    block->before = nullptr;
    block->last = true;
    bytes_held_ += bytes;
    List(block);
    return true;
  }

  // The pages that lie in a free block from end to end; they are zero when next read.
  static void DropPages(Block* block) {
#ifdef __linux__
    static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(block + 1) + page - 1) & ~(page - 1);
    const uintptr_t end = (reinterpret_cast<uintptr_t>(block) + block->bytes) & ~(page - 1);
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
#else
    static_cast<void>(block);
#endif
  }

  std::array<Block*, kBins> bins_{};  // free blocks by size, the latest freed first: its memory may be in a cache still
  std::array<uint64_t, kBins / 64> filled_{};
  size_t bytes_held_ = 0, bytes_dirty_ = 0;
};

}  // namespace attnkit
