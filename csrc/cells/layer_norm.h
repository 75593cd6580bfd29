// Layer normalisation of an LSTM-like cell (Ba et al. 2016, "Layer normalization", appendix: LSTM):
//   wx = LN(W x; gamma_ih) + b_ih;  uh = LN(U h'; gamma_hh) + b_hh;  z from wx and uh as the inner cell has
//   it i, f, o = sigmoid(z);  g = tanh(z);  c = f c' + i g;  h = o tanh(LN(c; gamma_c) + beta_c)
// LN(x; gamma) = gamma (x - mean) / sqrt(variance + 1e-5), over the 4H values of a row's gates, or the H of c.
//
// The bare products are kept, and c; means and deviations are recomputed in backward. Every pass goes over
// the units with a block of rows inside, so that parameters and sums are loaded once for the block.
#pragma once

#include "cells/lanes.h"
#include "cells/mi_lstm.h"

namespace rnn_engine {

inline constexpr double kLayerNormEpsilon = 1e-5;

RNN_ENGINE_DEVICE inline float square_root(float x) { return __builtin_sqrtf(x); }
RNN_ENGINE_DEVICE inline double square_root(double x) { return __builtin_sqrt(x); }

// What normalises a row.
template <class V>
struct Normal {
  V mean, scale;

  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V operator()(V x) const { return (x - mean) * scale; }

  // Of kParts x units values, the parts `stride` apart.
  template <int kParts, class Stored>
  RNN_ENGINE_DEVICE static Normal of(const Stored* row, std::ptrdiff_t stride, std::int64_t units) {
    using T = typename V::Scalar;
    const auto value = [&](int k, std::int64_t unit, int valid) {
      return load_units<V>(row + k * stride + (valid ? unit : 0), valid);
    };
    const T count = static_cast<T>(kParts * units);
    const V mean(row_sum<V, kParts>(
                     units, [&](int k, std::int64_t unit, int valid, V sum) { return sum + value(k, unit, valid); }) /
                 count);
    const T variance = row_sum<V, kParts>(units,
                                          [&](int k, std::int64_t unit, int valid, V sum) {
                                            const V away = first_units(value(k, unit, valid) - mean, valid);
                                            return fma(away, away, sum);
                                          }) /
                       count;
    return {mean, V(T(1) / square_root(variance + static_cast<T>(kLayerNormEpsilon)))};
  }
};

// The two sums over a row's values that its gradient through a normalisation needs: of p and of p x, where x
// is a normalised value and p its gradient.
template <class V>
struct NormalGradient {
  LaneSum<V> sum, product;

  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE void add(std::int64_t unit, V p, V x, int valid) {
    p = first_units(p, valid);
    sum.at(unit) = sum.at(unit) + p;
    product.at(unit) = fma(p, x, product.at(unit));
  }
  // Turns the sums over `count` values into means.
  struct Means {
    V p, px;
    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE V gradient(V p_here, V x, const Normal<V>& normal) const {
      return (p_here - p - x * px) * normal.scale;
    }
  };
  RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Means means(std::int64_t count) const {
    const auto n = static_cast<typename V::Scalar>(count);
    return {V(sum.total() / n), V(product.total() / n)};
  }
};

template <class Cell>
struct LayerNorm : CellDefaults {
  static constexpr bool kSeparateRecurrentProduct = true, kAddsBias = true, kWholeRows = true;
  static constexpr int kVectorParams = 2 + Cell::kVectorParams;  // gamma_ih, gamma_hh, those of the inner cell
  static constexpr int kUnitVectors = 2;                         // gamma_c, beta_c
  static constexpr unsigned kBiasVectors = Cell::kBiasVectors << 2 | 1u << (kVectorParams + 1);
  static constexpr int kSums = 2 + Cell::kSums;  // of d_wx and d_uh, each times what gamma multiplies; the inner cell's
  static constexpr int kWork = 2 * kGates + 1;

  // The vectors of a vector of units.
  template <class V>
  struct Vectors {
    V vector_params[kMaxVectorParams][kGates], bias_ih[kGates], bias_hh[kGates], gamma_c, beta_c;

    template <class Tile>
    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Vectors(const Tile& t, std::int64_t unit, int valid) {
      const auto load = [&](const auto* p) { return p ? load_units<V>(p + unit, valid) : V(typename V::Scalar(0)); };
      const auto gate = [&](const auto* p, int k) { return load(p ? p + k * t.gate_stride : nullptr); };
      for (int k = 0; k < kGates; ++k) {
        for (int e = 0; e < kVectorParams; ++e) vector_params[e][k] = gate(t.vector_params[e], k);
        bias_ih[k] = gate(t.bias_ih, k);
        bias_hh[k] = gate(t.bias_hh, k);
      }
      gamma_c = load(t.vector_params[kVectorParams]);
      beta_c = load(t.vector_params[kVectorParams + 1]);
    }
    RNN_ENGINE_DEVICE const V (*inner() const)[kGates] { return vector_params + 2; }
  };

  // The bare products of a tile's rows: as they come in forward, as they were kept in backward.
  template <class Stored>
  struct Bare {
    Stored *wx, *uh;
    std::ptrdiff_t row, gate_stride;

    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Stored* wx_at(std::int64_t i, int k, std::int64_t unit) const {
      return wx + i * row + k * gate_stride + unit;
    }
    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Stored* uh_at(std::int64_t i, int k, std::int64_t unit) const {
      return uh + i * row + k * gate_stride + unit;
    }
  };
  template <class Tile>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE auto products_of(const Tile& t) {
    return Bare{t.wx, t.uh, t.product_row, t.gate_stride};
  }
  template <class Tile>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE auto reserve_of(const Tile& t) {
    return Bare{t.gates_wx, t.gates_uh, t.gates_row, t.gate_stride};
  }

  // A row's products at some units: bare, normalised (x_...), and with gain and bias (wx, uh).
  template <class V>
  struct Products {
    V x_wx[kGates], x_uh[kGates], wx[kGates], uh[kGates];

    template <class Stored>
    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Products(const Bare<Stored>& bare, std::int64_t row, std::int64_t unit,
                                                 int valid, const Vectors<V>& v, const Normal<V>& normal_wx,
                                                 const Normal<V>& normal_uh) {
      for (int k = 0; k < kGates; ++k) {
        x_wx[k] = normal_wx(load_units<V>(bare.wx_at(row, k, unit), valid));
        x_uh[k] = normal_uh(load_units<V>(bare.uh_at(row, k, unit), valid));
        wx[k] = fma(v.vector_params[0][k], x_wx[k], v.bias_ih[k]);
        uh[k] = fma(v.vector_params[1][k], x_uh[k], v.bias_hh[k]);
      }
    }
  };

  // What normalises the products of a block of rows.
  template <class V>
  struct Normals {
    Normal<V> wx[kCellRows], uh[kCellRows];

    template <class Stored>
    RNN_ENGINE_DEVICE RNN_ENGINE_INLINE Normals(const Bare<Stored>& bare, std::int64_t units, std::int64_t first,
                                                int rows) {
      for (int i = 0; i < rows; ++i) {
        wx[i] = Normal<V>::template of<kGates>(bare.wx_at(first + i, 0, 0), bare.gate_stride, units);
        uh[i] = Normal<V>::template of<kGates>(bare.uh_at(first + i, 0, 0), bare.gate_stride, units);
      }
    }
  };

  // Rows [first, first + rows) of the tile, at most kCellRows.
  template <class V, class Tile>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void forward(const Tile& t, std::int64_t first, int rows) {
    const auto bare = products_of(t);
    const Normals<V> normals(bare, t.units, first, rows);
    for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
      const int valid = units_at<V>(unit, t.units);
      const Vectors<V> v(t, unit, valid);
      for (int i = 0; i < rows; ++i) {
        const std::int64_t row = first + i;
        const Products<V> p(bare, row, unit, valid, v, normals.wx[i], normals.uh[i]);
        V z[kGates];
        for (int k = 0; k < kGates; ++k) z[k] = Cell::join(p.wx[k], p.uh[k], v.inner(), k);
        LstmCell::activate(z);
        const V c = LstmCell::next_state(z, load_units<V>(t.c_prev + row * t.c_prev_row + unit, valid));
        store_units(c, t.c + row * t.c_row + unit, valid);
        if (t.h) store_units(z[3], t.work + i * t.gate_stride + unit, valid);  // o, until all of c is known
      }
    }
    for (int i = 0; t.h && i < rows; ++i) {
      const auto* c = t.c + (first + i) * t.c_row;
      auto* h = t.h + (first + i) * t.h_row;
      const auto normal = Normal<V>::template of<1>(c, 0, t.units);
      for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
        const int valid = units_at<V>(unit, t.units);
        const V gamma = load_units<V>(t.vector_params[kVectorParams] + unit, valid);
        const V beta = t.vector_params[kVectorParams + 1]
                           ? load_units<V>(t.vector_params[kVectorParams + 1] + unit, valid)
                           : V(typename V::Scalar(0));
        const V x = normal(load_units<V>(c + unit, valid));
        const V o = load_units<V>(t.work + i * t.gate_stride + unit, valid);
        store_units(o * tanh(fma(gamma, x, beta)), h + unit, valid);
      }
    }
  }

  // Backward goes three times over the units: from dh to the gradient of c's normalised values; from that of c to those
  // of the products' normalised values; and to those of the products. Between them `work` holds for each row and unit
  // i, f, g and do, then d_wx gamma_ih (4) and d_uh gamma_hh (4), and the gradient of c's normalised value.
  template <class V, class Tile>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void backward(const Tile& t, std::int64_t first, int rows) {
    const auto bare = reserve_of(t);
    const Normals<V> normals(bare, t.units, first, rows);
    Normal<V> normal_c[kCellRows];
    for (int i = 0; i < rows; ++i) normal_c[i] = Normal<V>::template of<1>(t.c + (first + i) * t.c_row, 0, t.units);
    NormalGradient<V> of_c[kCellRows], of_wx[kCellRows], of_uh[kCellRows];
    output_gradients(t, bare, first, rows, normals, normal_c, of_c);
    gate_gradients(t, bare, first, rows, normals, normal_c, of_c, of_wx, of_uh);
    for (int i = 0; i < rows; ++i) {
      const auto means_wx = of_wx[i].means(kGates * t.units), means_uh = of_uh[i].means(kGates * t.units);
      for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
        const int valid = units_at<V>(unit, t.units);
        const auto finish = [&](auto* product, int part, const Normal<V>& normal, const auto& means) {
          const V x = normal(load_units<V>(product, valid));
          store_units(means.gradient(load_units<V>(work(t, i, part, unit), valid), x, normal), product, valid);
        };
        for (int k = 0; k < kGates; ++k) {
          finish(bare.wx_at(first + i, k, unit), k, normals.wx[i], means_wx);
          finish(bare.uh_at(first + i, k, unit), kGates + k, normals.uh[i], means_uh);
        }
      }
    }
  }

  template <class T>
  RNN_ENGINE_DEVICE static VectorGradients<T> finish(const T* sums, const T* vector_params) {
    const VectorGradients<T> inner = Cell::template finish<T>(sums + 2, vector_params + 2);
    VectorGradients<T> all{inner.bias_ih, inner.bias_hh, {sums[0], sums[1]}};
    for (int e = 0; e < Cell::kVectorParams; ++e) all.vector_params[2 + e] = inner.vector_params[e];
    return all;
  }

 private:
  template <class Tile>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE auto* work(const Tile& t, int row, int part, std::int64_t unit) {
    return t.work + (row * kWork + part) * t.gate_stride + unit;
  }

  template <class V, class Tile, class Stored>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void output_gradients(const Tile& t, const Bare<Stored>& bare,
                                                                   std::int64_t first, int rows,
                                                                   const Normals<V>& normals,
                                                                   const Normal<V> (&normal_c)[kCellRows],
                                                                   NormalGradient<V> (&of_c)[kCellRows]) {
    auto* gamma_sum = t.sums + kSums * kGates * t.gate_stride;
    auto* beta_sum = gamma_sum + t.gate_stride;
    for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
      const int valid = units_at<V>(unit, t.units);
      const Vectors<V> v(t, unit, valid);
      V dgamma = load_units<V>(gamma_sum + unit, valid), dbeta = load_units<V>(beta_sum + unit, valid);
      for (int i = 0; i < rows; ++i) {
        const std::int64_t row = first + i;
        const Products<V> p(bare, row, unit, valid, v, normals.wx[i], normals.uh[i]);
        V z[kGates];
        for (int k = 0; k < kGates; ++k) z[k] = Cell::join(p.wx[k], p.uh[k], v.inner(), k);
        LstmCell::activate(z);
        const V one(1), o = z[3], dh = load_units<V>(t.dh + row * t.dh_row + unit, valid);
        const V x = normal_c[i](load_units<V>(t.c + row * t.c_row + unit, valid));
        const V tanh_c = tanh(fma(v.gamma_c, x, v.beta_c));
        const V d = dh * o * (one - tanh_c * tanh_c);
        z[3] = dh * tanh_c * o * (one - o);
        dbeta = dbeta + d;
        dgamma = fma(d, x, dgamma);
        for (int k = 0; k < kGates; ++k) store_units(z[k], work(t, i, k, unit), valid);
        store_units(d * v.gamma_c, work(t, i, 2 * kGates, unit), valid);
        of_c[i].add(unit, d * v.gamma_c, x, valid);
      }
      store_units(dgamma, gamma_sum + unit, valid);
      store_units(dbeta, beta_sum + unit, valid);
    }
  }

  template <class V, class Tile, class Stored>
  RNN_ENGINE_DEVICE static RNN_ENGINE_INLINE void gate_gradients(
      const Tile& t, const Bare<Stored>& bare, std::int64_t first, int rows, const Normals<V>& normals,
      const Normal<V> (&normal_c)[kCellRows], const NormalGradient<V> (&of_c)[kCellRows],
      NormalGradient<V> (&of_wx)[kCellRows], NormalGradient<V> (&of_uh)[kCellRows]) {
    typename NormalGradient<V>::Means means_c[kCellRows];
    for (int i = 0; i < rows; ++i) means_c[i] = of_c[i].means(t.units);
    const auto sum_at = [&](int s, int k) { return t.sums + (s * kGates + k) * t.gate_stride; };
    for (std::int64_t unit = 0; unit < t.units; unit += V::kWidth) {
      const int valid = units_at<V>(unit, t.units);
      const Vectors<V> v(t, unit, valid);
      V sums[kMaxSums][kGates];
      for (int s = 0; s < kSums; ++s)
        for (int k = 0; k < kGates; ++k) sums[s][k] = load_units<V>(sum_at(s, k) + unit, valid);
      for (int i = 0; i < rows; ++i) {
        const std::int64_t row = first + i;
        Products<V> p(bare, row, unit, valid, v, normals.wx[i], normals.uh[i]);
        V d[kGates];
        for (int k = 0; k < kGates; ++k) d[k] = load_units<V>(work(t, i, k, unit), valid);
        const V x_c = normal_c[i](load_units<V>(t.c + row * t.c_row + unit, valid));
        const V p_c = load_units<V>(work(t, i, 2 * kGates, unit), valid);
        V dc = load_units<V>(t.dc + row * t.dc_row + unit, valid) + means_c[i].gradient(p_c, x_c, normal_c[i]);
        LstmCell::state_gradients(d, load_units<V>(t.c_prev + row * t.c_prev_row + unit, valid), dc);
        store_units(dc, t.dc + row * t.dc_row + unit, valid);
        for (int k = 0; k < kGates; ++k) {
          Cell::separate(d[k], p.wx[k], p.uh[k], v.inner(), k, sums + 2);
          sums[0][k] = fma(p.wx[k], p.x_wx[k], sums[0][k]);
          sums[1][k] = fma(p.uh[k], p.x_uh[k], sums[1][k]);
          const V p_wx = p.wx[k] * v.vector_params[0][k], p_uh = p.uh[k] * v.vector_params[1][k];
          of_wx[i].add(unit, p_wx, p.x_wx[k], valid);
          of_uh[i].add(unit, p_uh, p.x_uh[k], valid);
          store_units(p_wx, work(t, i, k, unit), valid);
          store_units(p_uh, work(t, i, kGates + k, unit), valid);
        }
      }
      for (int s = 0; s < kSums; ++s)
        for (int k = 0; k < kGates; ++k) store_units(sums[s][k], sum_at(s, k) + unit, valid);
    }
  }
};

struct LayerNormLstmCell : LayerNorm<LstmCell> {
  static constexpr const char* kName = "layer_norm_lstm";
};

struct LayerNormMiLstmCell : LayerNorm<MiLstmCell> {
  static constexpr const char* kName = "layer_norm_mi_lstm";
};

}  // namespace rnn_engine
