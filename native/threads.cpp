// Threads that wait for work between calls.
#include "threads.h"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
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

}  // namespace

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

}  // namespace axdnn
