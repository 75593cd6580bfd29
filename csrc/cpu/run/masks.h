// Dropout and zoneout, by the masks of plan/mask_sites.h.
#pragma once

#include "cpu/run/common.h"
#include "cpu/sentence_masks.h"
#include "plan/mask_sites.h"

namespace rnn_engine {

inline Mask mask_at(const rnn_engine_masks& masks, const MaskSite& site) {
  Mask mask{};
  mask.key = key_of(masks);
  mask.site = site.site;
  mask.threshold = site.threshold;
  return mask;
}

// Dropout between layers: out = in * mask / (1 - p) for this thread's share of the steps of `range`; out may be in.
template <class T>
void drop(const Runner<T>& run, std::int64_t layer, const StepRange& range, RowWindow<const T> in, RowWindow<T> out) {
  const Shape& s = run.shape();
  const std::int64_t I = s.layer(layer).I;
  const Mask mask = mask_at(run.masks, make_mask_site(MaskKind::kLayer, layer, 0, s.dropout_probability));
  const Value<T> scale = dropout_scale<Value<T>>(s.dropout_probability);
  const Team::Range share = run.team.share(range.t1 - range.t0);
  const Team::Range steps{range.t0 + share.begin, range.t0 + share.end};
  if (s.one_mask && steps.end - steps.begin > 1) {
    for_each_sentence_mask(
        run.cells, DropoutRow<Value<T>>{nullptr, nullptr, 0, mask, scale}, s.batch(steps.begin), I,
        [&](std::int64_t b) { return row_id(run.masks, b); },
        [&](std::int64_t b, std::int64_t first, std::int64_t count, const Value<T>* factors) {
          for (std::int64_t t = steps.begin; t < steps.end && b < s.batch(t); ++t) {
            const std::int64_t at = s.offset(t) + b;
            run.kernels.scale({in.at(at) + first, factors, out.at(at) + first, count});
          }
        });
    return;
  }
  DropoutRow<T> row{nullptr, nullptr, I, mask, scale};
  for (std::int64_t t = steps.begin; t < steps.end; ++t) {
    row.mask.step = s.one_mask ? 0 : static_cast<std::uint32_t>(t);
    const std::int64_t first = s.offset(t);
    for (std::int64_t b = 0; b < s.batch(t); ++b) {
      row.mask.row = row_id(run.masks, b);
      row.in = in.at(first + b);
      row.out = out.at(first + b);
      run.kernels.dropout(row);
    }
  }
}

// What h is multiplied by before U, for some sequences of a pseudo-layer: factors [B, R].
template <class T>
void recurrent_factors(const Runner<T>& run, std::int64_t layer, std::int64_t direction, Team::Range rows,
                       Value<T>* factors) {
  const Shape& s = run.shape();
  DropoutRow<Value<T>> row{};
  row.columns = s.layer(layer).R;
  row.mask = mask_at(run.masks, make_mask_site(MaskKind::kRecurrent, layer, direction, s.recurrent_dropout));
  row.scale = dropout_scale<Value<T>>(s.recurrent_dropout);
  for (std::int64_t b = rows.begin; b < rows.end; ++b) {
    row.mask.row = row_id(run.masks, b);
    row.out = factors + b * row.columns;
    run.cells.dropout(row);
  }
}

// Zoneout of c or of h at step t; row, columns and pointers are the caller's to set.
template <class T, class Stored>
ZoneoutRow<T> make_zoneout(const Runner<Stored>& run, MaskKind kind, std::int64_t layer, std::int64_t direction,
                           std::int64_t t) {
  const Shape& s = run.shape();
  ZoneoutRow<T> row{};
  row.mask = mask_at(run.masks, zoneout_site(s, kind, layer, direction));
  row.mask.step = static_cast<std::uint32_t>(t);
  row.drawn = s.zoneout_masks;
  row.share = static_cast<Value<T>>(kind == MaskKind::kZoneoutC ? s.zoneout_c : s.zoneout_h);
  return row;
}

// c of a region from c before the step and what the cell made of it; pointers stand at its first value, and
// rows are H apart.
template <class T>
void zone_out_c(const Runner<T>& run, std::int64_t layer, std::int64_t direction, std::int64_t t, const Region& region,
                const Value<T>* c_prev, const Value<T>* c_candidate, Value<T>* c) {
  const std::int64_t H = run.shape().layer(layer).H;
  ZoneoutRow<Value<T>> row = make_zoneout<Value<T>>(run, MaskKind::kZoneoutC, layer, direction, t);
  row.columns = region.units.end - region.units.begin;
  row.mask.first = region.units.begin;
  for (std::int64_t b = region.rows.begin; b < region.rows.end; ++b) {
    const std::int64_t place = (b - region.rows.begin) * H;
    row.mask.row = row_id(run.masks, b);
    row.before = c_prev + place;
    row.next = c_candidate + place;
    row.value = c + place;
    run.cells.zoneout_forward(row);
  }
}

}  // namespace rnn_engine
