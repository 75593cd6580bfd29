// Products of one sentence, shared among threads: where a single one is translated, the others would have nothing to
// do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/fork.h"
#include "base/pool.h"

namespace rnn_engine::translate {

class Crew;

// Threads that wait to help, kept from call to call. They help one caller at a time.
class Helpers {
 public:
  Helpers();
  ~Helpers();

 private:
  friend class Sharing;
  struct State {
    State();
    ~State();
    std::mutex taken;
    std::unique_ptr<Crew> crew;
  };
  mutable OfProcess<State> state_;
};

// While it lives, this thread's large products are shared with the helpers, so that `threads` are at work, or as many
// as there are processors; it works alone if they are taken.
class Sharing {
 public:
  Sharing(const Helpers& helpers, std::int64_t threads);
  ~Sharing();
  Sharing(const Sharing&) = delete;

 private:
  std::unique_lock<std::mutex> taken_;
};

// Does a product whose weights have so many bytes: `work` takes its team's share of the columns. How many share it
// changes no bit.
void share_product(std::int64_t bytes, const std::function<void(const Team&)>& work);

}  // namespace rnn_engine::translate
