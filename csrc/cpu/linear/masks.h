// Masks of a call that is no layer's: rows are those of sequence r % batch at step r / batch.
#pragma once

#include "cpu/kernels/kernels.h"
#include "plan/mask_sites.h"

namespace rnn_engine {

template <class T>
class RowMasks {
 public:
  RowMasks(MaskKind kind, std::uint64_t seed, double probability, double scale, std::int64_t batch, bool per_sentence,
           std::int64_t first_step = 0)
      : batch_(batch), first_step_(first_step), per_sentence_(per_sentence) {
    const MaskSite site = make_mask_site(kind, 0, 0, probability);
    row_.drops = probability > 0;
    row_.scale = static_cast<Value<T>>(scale * dropout_scale<double>(probability));
    row_.inverse = static_cast<Value<T>>((1 - probability) / scale);
    row_.mask.key = key_of({seed, nullptr});
    row_.mask.site = site.site;
    row_.mask.threshold = site.threshold;
  }

  // What values are multiplied by, if `per_sentence`: all but the pointers, the row and the columns.
  DropoutRow<Value<T>> factors() const { return {nullptr, nullptr, 0, row_.mask, row_.scale}; }

  // Columns [first, first + columns) of row r; pointers are the caller's to set.
  EpilogueRow<T> at(std::int64_t r, std::int64_t first, std::int64_t columns) const {
    EpilogueRow<T> row = row_;
    row.columns = columns;
    row.mask.first = first;
    row.mask.row = static_cast<std::uint32_t>(r % batch_);
    row.mask.step = per_sentence_ ? 0 : static_cast<std::uint32_t>(first_step_ + r / batch_);
    return row;
  }

 private:
  EpilogueRow<T> row_{};
  std::int64_t batch_, first_step_;
  bool per_sentence_;
};

}  // namespace rnn_engine
