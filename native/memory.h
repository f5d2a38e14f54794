// Working memory that a thread keeps from call to call: fresh pages cost as much as filling them.
#ifndef AXDNN_MEMORY_H
#define AXDNN_MEMORY_H

#include <cstdint>
#include <cstdlib>
#include <new>

#include "bytes.h"

namespace axdnn {

class Memory {
 public:
  Memory() = default;
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() { std::free(start_); }

  // Room for `count` numbers and kSlack bytes, 64-byte aligned, holding anything; what was there before is lost.
  template <typename T>
  T *room(int64_t count) {
    const size_t needed = (count * sizeof(T) + kSlack + 63) / 64 * 64;
    if (needed > size_) {
      std::free(start_);
      size_ = 0;
      start_ = std::aligned_alloc(64, needed);
      if (!start_) throw std::bad_alloc();
      size_ = needed;
    }
    return static_cast<T *>(start_);
  }

  void release_if_large() {
    if (size_ <= kKept) return;
    std::free(start_);
    start_ = nullptr;
    size_ = 0;
  }

 private:
  static constexpr size_t kKept = 8 << 20;
  void *start_ = nullptr;
  size_t size_ = 0;
};

}  // namespace axdnn

#endif
