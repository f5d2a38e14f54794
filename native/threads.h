// Work shared out to threads that live for one call.
#ifndef AXDNN_THREADS_H
#define AXDNN_THREADS_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace axdnn {

// Calls work(begin, end) on pieces of [0, count) in `threads` threads, each taking the next piece when it is done with
// one, so that a core that others use holds nobody up; rethrows the first exception.
template <typename Work>
void in_parallel(int64_t count, int32_t threads, const Work &work) {
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(threads, count));
  if (parts == 1) return work(int64_t{0}, count);
  const int64_t piece = std::max<int64_t>(1, count / (8 * parts));
  std::atomic<int64_t> next{0};
  std::vector<std::exception_ptr> failed(parts);
  const auto part = [&](int64_t i) {
    try {
      for (int64_t begin; (begin = next.fetch_add(piece)) < count;) work(begin, std::min(begin + piece, count));
    } catch (...) {
      failed[i] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(parts);
  for (int64_t i = 1; i < parts; ++i) {
    try {
      others.emplace_back(part, i);
    } catch (const std::system_error &) {  // no more threads to be had: the work is done here
      part(i);
    }
  }
  part(0);
  for (std::thread &other : others) other.join();
  for (const std::exception_ptr &error : failed)
    if (error) std::rethrow_exception(error);
}

}  // namespace axdnn

#endif
