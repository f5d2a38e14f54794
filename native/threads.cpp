// Threads of torch's OpenMP runtime, or some of our own that wait for work between calls.
#include "threads.h"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <unistd.h>
#endif

namespace axdnn {

struct Worker {
  enum State { kIdle, kPosted, kTaken, kDone };
  std::mutex mutex;
  std::condition_variable changed;
  const std::function<void()> *task = nullptr;
  State state = kIdle;

  void live() {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return state == kPosted; });
      state = kTaken;
      lock.unlock();
      (*task)();
      lock.lock();
      state = kDone;
      changed.notify_all();
    }
  }
};

namespace {

int64_t process() {
#if defined(__unix__) || defined(__APPLE__)
  return getpid();
#else
  return 0;
#endif
}

// Workers that nobody uses. Never destroyed, as their threads wait in it when the process ends; a forked process, which
// has none of the threads, begins a list of its own.
struct Idle {
  std::mutex mutex;
  std::vector<Worker *> workers;
  const int64_t owner = process();
};

Idle &idle() {
  static std::atomic<Idle *> known{nullptr};
  Idle *found = known.load();
  while (!found || found->owner != process()) {
    Idle *made = new Idle;
    if (known.compare_exchange_strong(found, made)) return *made;
    delete made;
  }
  return *found;
}

Worker *hire() {
  {
    Idle &all = idle();
    std::lock_guard<std::mutex> lock(all.mutex);
    if (!all.workers.empty()) {
      Worker *worker = all.workers.back();
      all.workers.pop_back();
      return worker;
    }
  }
  Worker *worker = new Worker;
  try {
    std::thread(&Worker::live, worker).detach();
  } catch (const std::system_error &) {  // no more threads to be had: the caller does the work
    delete worker;
    return nullptr;
  }
  return worker;
}

// A kept thread of ours with something to do. Destroying it waits until that is done, or takes it back if it has not
// begun.
class Helper {
 public:
  explicit Helper(const std::function<void()> &task);
  Helper(Helper &&other) noexcept : worker_(other.worker_) { other.worker_ = nullptr; }
  Helper(const Helper &) = delete;
  Helper &operator=(const Helper &) = delete;
  ~Helper();

 private:
  Worker *worker_;  // null where no thread was to be had
};

Helper::Helper(const std::function<void()> &task) : worker_(hire()) {
  if (!worker_) return;
  std::lock_guard<std::mutex> lock(worker_->mutex);
  worker_->task = &task;
  worker_->state = Worker::kPosted;
  worker_->changed.notify_all();
}

Helper::~Helper() {
  if (!worker_) return;
  {
    std::unique_lock<std::mutex> lock(worker_->mutex);
    if (worker_->state != Worker::kPosted)
      worker_->changed.wait(lock, [this] { return worker_->state == Worker::kDone; });
    worker_->state = Worker::kIdle;
  }
  Idle &all = idle();
  std::lock_guard<std::mutex> lock(all.mutex);
  all.workers.push_back(worker_);
}

void in_own_threads(int64_t parts, const std::function<void(int64_t)> &part) {
  std::vector<std::function<void()>> tasks;
  for (int64_t i = 1; i < parts; ++i) tasks.emplace_back([&part, i] { part(i); });
  std::vector<Helper> helpers;
  helpers.reserve(tasks.size());
  for (const auto &task : tasks) helpers.emplace_back(task);
  part(0);
}

// The call that GCC makes for `#pragma omp parallel`, part of the interface of GNU's and of LLVM's runtime.
using OpenMp = void (*)(void (*)(void *), void *, unsigned, unsigned);

OpenMp find_open_mp() {
#if defined(__unix__) || defined(__APPLE__)
  return reinterpret_cast<OpenMp>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
#else
  return nullptr;
#endif
}

// Null in a forked process: the runtime that it was copied with has lost its threads.
OpenMp open_mp() {
  static const int64_t owner = process();
  static const OpenMp found = find_open_mp();
  return process() == owner ? found : nullptr;
}

struct Parts {
  const std::function<void(int64_t)> *part;
  std::atomic<int64_t> next{0};
  int64_t count;
};

}  // namespace

void in_threads(int64_t parts, const std::function<void(int64_t)> &part) {
  const OpenMp parallel = open_mp();
  if (!parallel) return in_own_threads(parts, part);
  Parts all{&part, {0}, parts};
  parallel(  // with fewer threads than asked for, some take several parts
      [](void *data) {
        Parts &of = *static_cast<Parts *>(data);
        for (int64_t i; (i = of.next.fetch_add(1)) < of.count;) (*of.part)(i);
      },
      &all, static_cast<unsigned>(parts), 0);
}

}  // namespace axdnn
