// Work shared out to threads that are kept from call to call, with their working memory.
#ifndef AXDNN_THREADS_H
#define AXDNN_THREADS_H

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <vector>

namespace axdnn {

// A kept thread with something to do. Destroying it waits until that is done, or takes it back if it has not begun.
class Helper {
 public:
  explicit Helper(const std::function<void()> &task);
  Helper(Helper &&other) noexcept : worker_(other.worker_) { other.worker_ = nullptr; }
  Helper(const Helper &) = delete;
  Helper &operator=(const Helper &) = delete;
  ~Helper();

 private:
  struct Worker *worker_;  // null where no thread was to be had
};

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
  {
    std::vector<std::function<void()>> tasks;
    for (int64_t i = 1; i < parts; ++i) tasks.emplace_back([&part, i] { part(i); });
    std::vector<Helper> helpers;
    helpers.reserve(tasks.size());
    for (const auto &task : tasks) helpers.emplace_back(task);
    part(0);
  }
  for (const std::exception_ptr &error : failed)
    if (error) std::rethrow_exception(error);
}

}  // namespace axdnn

#endif
