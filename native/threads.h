// Work shared out to threads that are kept from call to call, with their working memory: torch's, or some of our own.
#ifndef AXDNN_THREADS_H
#define AXDNN_THREADS_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

namespace axdnn {

// Calls part(i) once for each i in [0, parts), in as many threads as are to be had, the caller's among them; returns
// when all are done. `part` must not throw. Torch's OpenMP runtime does it where it is in the process: its threads stay
// awake for a while after torch's own operators, and threads beside them would wait for their cores.
void in_threads(int64_t parts, const std::function<void(int64_t)> &part);

// Calls work(begin, end) on pieces of [0, count) in `threads` threads, each taking the next piece when it is done with
// one, so that a core that others use holds nobody up; rethrows the first exception.
template <typename Work>
void in_parallel(int64_t count, int32_t threads, const Work &work) {
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(threads, count));
  if (parts == 1) return work(int64_t{0}, count);
  const int64_t piece = std::max<int64_t>(1, count / (8 * parts));
  std::atomic<int64_t> next{0};
  std::vector<std::exception_ptr> failed(parts);
  in_threads(parts, [&](int64_t i) {
    try {
      for (int64_t begin; (begin = next.fetch_add(piece)) < count;) work(begin, std::min(begin + piece, count));
    } catch (...) {
      failed[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr &error : failed)
    if (error) std::rethrow_exception(error);
}

}  // namespace axdnn

#endif
