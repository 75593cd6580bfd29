// Dropout and zoneout, by the masks of plan/mask_sites.h.
#pragma once

#include "cpu/run/common.h"
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
  DropoutRow<T> row{};
  row.columns = s.layer(layer).I;
  row.mask = mask_at(run.masks, make_mask_site(MaskKind::kLayer, layer, 0, s.dropout_probability));
  row.scale = dropout_scale<Value<T>>(s.dropout_probability);
  const Team::Range steps = run.team.share(range.t1 - range.t0);
  for (std::int64_t t = range.t0 + steps.begin; t < range.t0 + steps.end; ++t) {
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

// out = factor * in, `count` values.
template <class T>
void scale_values(const T* in, const Value<T>* factor, std::int64_t count, T* out) {
  for (std::int64_t j = 0; j < count; ++j) out[j] = narrow<T>(factor[j] * widen(in[j]));
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
