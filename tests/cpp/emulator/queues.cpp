// Streams, events and graphs. A stream is a list of work; which stream goes on, and how far, is drawn anew
// each time, so that what no event orders runs in either order. Work that the caller's stream does not wait
// for has not run when a call ends.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <vector>

#include "cuda/runtime.h"

namespace rnn_engine::cuda::emulator {

struct Operation {
  std::function<void()> work;  // or, of an event:
  std::shared_ptr<bool> done;  // what is recorded, or waited for
  bool waits = false;
};

struct Queue {
  std::deque<Operation> work;
  Recording* recording = nullptr;  // the capture that this stream is part of
};

struct Recording {
  std::map<Queue*, std::deque<Operation>> work;
  Queue* origin;
};

namespace {

std::recursive_mutex busy;
Queue callers;
std::vector<Queue*> all{&callers};
std::mt19937 chance{54321};

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "emulator: %s\n", what);
  std::abort();
}

Queue& queue_of(Stream stream) { return stream ? *stream : callers; }

void add(Stream stream, Operation operation) {
  std::lock_guard lock(busy);
  Queue& queue = queue_of(stream);
  (queue.recording ? queue.recording->work[&queue] : queue.work).push_back(std::move(operation));
}

bool is_ready(const std::deque<Operation>& queue) {
  return !queue.empty() && (!queue.front().waits || *queue.front().done);
}

void run_first(std::deque<Operation>& queue) {
  const Operation operation = std::move(queue.front());
  queue.pop_front();
  if (operation.work)
    operation.work();
  else if (!operation.waits)
    *operation.done = true;
}

// Until `last` is empty. In some calls streams take turns at every kernel, in others one goes as far as it can.
void run_until_empty(const std::vector<std::deque<Operation>*>& queues, const std::deque<Operation>& last) {
  constexpr unsigned kPercent[] = {0, 50, 95, 100};
  const unsigned goes_on = kPercent[chance() % 4];
  while (!last.empty()) {
    std::vector<std::deque<Operation>*> ready;
    std::copy_if(queues.begin(), queues.end(), std::back_inserter(ready), [](auto* q) { return is_ready(*q); });
    if (ready.empty()) stop("streams wait for what no stream will do");
    std::deque<Operation>& queue = *ready[chance() % ready.size()];
    do run_first(queue);
    while (chance() % 100 < goes_on && is_ready(queue) && !last.empty());
  }
}

}  // namespace

void put(Stream stream, std::function<void()> work) { add(stream, {std::move(work), nullptr}); }

std::unique_ptr<Queue, void (*)(Queue*)> make_stream() {
  std::lock_guard lock(busy);
  all.push_back(new Queue);
  return {all.back(), [](Queue* queue) {
            std::lock_guard lock(busy);
            all.erase(std::find(all.begin(), all.end(), queue));
            delete queue;
          }};
}

std::shared_ptr<bool> record(Stream stream, Recording*& recording) {
  auto done = std::make_shared<bool>(false);
  recording = queue_of(stream).recording;
  add(stream, {nullptr, done});
  return done;
}

// A stream that waits for a captured one is captured from then on.
void hold(Stream stream, const std::shared_ptr<bool>& done, Recording* recording) {
  Queue& queue = queue_of(stream);
  if (!done) stop("an event is waited for that nobody recorded");
  if (recording && !queue.recording) queue.recording = recording;
  if (queue.recording != recording) stop("a captured stream waits for one that is not captured with it");
  add(stream, {nullptr, done, true});
}

bool captured(Stream stream) { return queue_of(stream).recording != nullptr; }

std::shared_ptr<Recording> capture(Stream origin, const std::function<void()>& enqueue) {
  std::lock_guard lock(busy);
  auto recording = std::make_shared<Recording>();
  recording->origin = &queue_of(origin);
  if (!origin || origin->recording) stop("this stream cannot be captured");
  origin->recording = recording.get();
  enqueue();
  for (auto& [queue, work] : recording->work) {
    queue->recording = nullptr;
    if (queue == origin) continue;
    const std::shared_ptr<bool>& last = work.back().done;
    const auto awaits = [&](const Operation& operation) { return operation.waits && operation.done == last; };
    const bool joined = std::any_of(recording->work.begin(), recording->work.end(), [&](const auto& other) {
      return other.first != queue && std::any_of(other.second.begin(), other.second.end(), awaits);
    });
    if (!last || !joined) stop("a captured stream was not joined");
  }
  return recording;
}

void replay(const std::shared_ptr<Recording>& recording, Stream stream) {
  put(stream, [recording] {
    std::map<Queue*, std::deque<Operation>> work = recording->work;
    std::vector<std::deque<Operation>*> queues;
    for (auto& [queue, operations] : work) {
      queues.push_back(&operations);
      for (const Operation& operation : operations)
        if (operation.done) *operation.done = false;
    }
    if (!queues.empty()) run_until_empty(queues, work.at(recording->origin));
  });
}

void run_streams() {
  std::lock_guard lock(busy);
  std::vector<std::deque<Operation>*> queues;
  for (Queue* queue : all) queues.push_back(&queue->work);
  try {
    run_until_empty(queues, callers.work);
  } catch (...) {  // a call that fails has no more work
    for (auto* queue : queues) queue->clear();
    throw;
  }
}

}  // namespace rnn_engine::cuda::emulator
