// Digit path: look the factors up once an input byte, lay windows out in blocks that fit the cache, multiply.
//
// Planes: for every digit pair p of a scale, f_p of a band of the input, (images, rows, width, channels). A row of the
// left matrix is a window: for every pair every run of it that is contiguous in a plane, cut into chunks; a chunk is
// padded with anything to whole steps, where the packed weights are zero.
#include "digits.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "cpu.h"
#include "shape.h"
#include "threads.h"

namespace axdnn {
namespace {

constexpr int64_t kRowsAtOnce = 512;        // windows laid out at once
constexpr int64_t kPiece = 1024;            // longest piece of a run
constexpr int64_t kChunk = 1536;            // most bytes of a window laid out at once, unless one piece is more
constexpr int64_t kPlaneBytes = 1 << 20;    // planes of a band, if a row of outputs allows it
constexpr int64_t kSlack = 128;             // bytes that may be read or written beyond a buffer's use

int64_t up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

struct Layout {
  const axdnn_shape &s;
  int64_t inputs, outputs;  // channels of one convolution group
  bool wide;                // a run covers the window's width, not one pixel
  int64_t run, window, pixels_out;

  explicit Layout(const axdnn_shape &shape)
      : s(shape), inputs(shape.channels / shape.groups), outputs(shape.outputs / shape.groups),
        wide(shape.dilation_w == 1), run(wide ? shape.kernel_w * inputs : inputs),
        window(shape.kernel_h * shape.kernel_w * inputs), pixels_out(shape.out_h * shape.out_w) {}
};

// Contiguous bytes of a window in one plane.
struct Piece {
  int64_t pair;    // of its scale
  int64_t from;    // offset in the plane from the window's corner
  int64_t term;    // first term, in the order of the weights (kernel_h, kernel_w, inputs)
  int64_t length;
};

// Pieces that are laid out side by side, then padded to whole steps.
struct Chunk {
  std::vector<Piece> pieces;
  int64_t bytes = 0, first_step = 0;  // steps of earlier chunks
  int64_t steps() const { return up(bytes, kStep) / kStep; }
};

std::vector<Chunk> chunks(const Layout &l, int64_t pairs) {
  std::vector<Chunk> found;
  const int64_t line = l.s.width * l.inputs, across = l.wide ? 1 : l.s.kernel_w;
  for (int64_t pair = 0; pair < pairs; ++pair)
    for (int64_t r = 0, term = 0; r < l.s.kernel_h * across; ++r) {
      const int64_t corner = r / across * l.s.dilation_h * line + r % across * l.s.dilation_w * l.inputs;
      for (int64_t at = 0; at < l.run; at += kPiece) {
        const int64_t length = std::min(kPiece, l.run - at);
        if (found.empty() || found.back().bytes + length > kChunk) {
          const int64_t before = found.empty() ? 0 : found.back().first_step + found.back().steps();
          found.emplace_back();
          found.back().first_step = before;
        }
        found.back().pieces.push_back({pair, corner + at, term, length});
        found.back().bytes += length;
        term += length;
      }
    }
  return found;
}

// Weights of one scale and one convolution group.
struct Packed {
  int64_t pairs, first_pair;
  int32_t scale;
  std::vector<Chunk> chunks;
  int64_t steps;
  std::vector<int8_t> panels;  // (outputs / kPanel, steps, kStep / 4, kPanel, 4)
};

// Digits of one output's weights in the order of the chunks; returns their sum.
int64_t weight_digits(const Packed &p, const axdnn_digits &d, const uint8_t *codes, const Variant &v, int8_t *line) {
  int64_t sum = 0;
  for (const Chunk &chunk : p.chunks) {
    int8_t *to = line + chunk.first_step * kStep;
    for (const Piece &piece : chunk.pieces) {
      v.map(d.g + (p.first_pair + piece.pair) * 256, codes + piece.term, piece.length, to);
      int32_t part = 0;
      for (int64_t i = 0; i < piece.length; ++i) part += to[i];
      sum += part;
      to += piece.length;
    }
  }
  return sum;
}

// With unsigned left factors, what the added 128 is worth is taken off `constant`.
Packed pack(const Layout &l, const axdnn_digits &d, int64_t scale, int64_t first, int64_t conv_group, const uint8_t *w,
            const Variant &v, uint32_t *constant) {
  Packed p{d.sizes[scale], first, d.scales[scale], chunks(l, d.sizes[scale]), 0, {}};
  p.steps = p.chunks.empty() ? 0 : p.chunks.back().first_step + p.chunks.back().steps();
  p.panels.resize(up(l.outputs, kPanel) / kPanel * p.steps * kStepBytes);
  std::vector<int8_t> lines(kPanel * p.steps * kStep);  // zero where nothing is written
  for (int64_t first_n = 0; first_n < l.outputs; first_n += kPanel) {
    const int64_t columns = std::min(kPanel, l.outputs - first_n);
    for (int64_t n = 0; n < columns; ++n) {
      const uint8_t *codes = w + (conv_group * l.outputs + first_n + n) * l.window;
      const int64_t sum = weight_digits(p, d, codes, v, lines.data() + n * p.steps * kStep);
      if (v.unsigned_left)
        constant[first_n + n] -= 128u * static_cast<uint32_t>(sum) * static_cast<uint32_t>(p.scale);
    }
    if (columns < kPanel) std::memset(lines.data() + columns * p.steps * kStep, 0, (kPanel - columns) * p.steps * kStep);
    int8_t *panel = p.panels.data() + first_n * p.steps * kStep;
    for (int64_t k = 0; k < p.steps * kStep; k += 4)  // four terms of sixteen columns become neighbours
      for (int64_t n = 0; n < kPanel; ++n)
        std::memcpy(panel + k * kPanel + 4 * n, lines.data() + n * p.steps * kStep + k, 4);
  }
  return p;
}

// A stretch of the work: images [image, image + images), output rows [top, top + rows) of each.
struct Band {
  int64_t image, images, top, rows;
};

std::vector<Band> bands(const Layout &l, int64_t pairs, int32_t threads) {
  const axdnn_shape &s = l.s;
  const int64_t row_bytes = s.width * l.inputs * pairs, image_bytes = s.height * row_bytes;
  std::vector<Band> found;
  if (image_bytes <= kPlaneBytes) {
    int64_t images = std::max<int64_t>(1, kPlaneBytes / std::max<int64_t>(1, image_bytes));
    images = std::min(images, std::max<int64_t>(1, 4 * kRowsAtOnce / std::max<int64_t>(1, l.pixels_out)));
    images = std::max<int64_t>(1, std::min(images, (s.batch + threads - 1) / threads));
    for (int64_t i = 0; i < s.batch; i += images) found.push_back({i, std::min(images, s.batch - i), 0, s.out_h});
    return found;
  }
  const int64_t fit = kPlaneBytes / row_bytes - (s.kernel_h - 1) * s.dilation_h;
  const int64_t rows = std::clamp<int64_t>(fit / s.stride_h, std::min<int64_t>(4, s.out_h), s.out_h);
  for (int64_t i = 0; i < s.batch; ++i)
    for (int64_t y = 0; y < s.out_h; y += rows) found.push_back({i, 1, y, std::min(rows, s.out_h - y)});
  return found;
}

// What a thread owns.
struct Buffers {
  std::vector<int8_t> planes, left, mapped;
  alignas(64) int32_t scratch[kTile * kTile];
};

inline void copy(const int8_t *from, int64_t count, int8_t *to) {
  int64_t i = 0;  // whole blocks; what is written too much lies in the next run or in the slack
  do {
    std::memcpy(to + i, from + i, 64);
    i += 64;
  } while (i < count);
}

class Convolution {
 public:
  Convolution(const Layout &layout, const axdnn_digits &digits, const uint8_t *x, const Variant &variant,
              int64_t conv_group, const std::vector<Packed> &packed, const uint32_t *constant, int32_t *out)
      : l_(layout), d_(digits), x_(x), v_(variant), conv_group_(conv_group), packed_(packed), constant_(constant),
        out_(out) {}

  void run(const Band &band, Buffers &b) const {
    start(band);
    for (const Packed &p : packed_) {
      if (p.steps == 0) continue;
      map(band, p, b);
      const int64_t pixels = band.images * band.rows * l_.s.out_w;
      for (int64_t m = 0; m < pixels; m += kRowsAtOnce) {
        const int64_t rows = std::min(kRowsAtOnce, pixels - m);
        for (const Chunk &chunk : p.chunks) {
          lay_out(band, chunk, m, rows, b);
          multiply(band, p, chunk, m, rows, b);
        }
      }
    }
  }

 private:
  int32_t *output(const Band &band, int64_t pixel) const {  // pixels of a band are contiguous in the output
    const int64_t at = (band.image * l_.s.out_h + band.top) * l_.s.out_w + pixel;
    return out_ + at * l_.s.outputs + conv_group_ * l_.outputs;
  }

  void start(const Band &band) const {
    const int64_t pixels = band.images * band.rows * l_.s.out_w;
    for (int64_t i = 0; i < pixels; ++i) std::memcpy(output(band, i), constant_, l_.outputs * sizeof(int32_t));
  }

  int64_t rows_in(const Band &band) const {
    return band.rows == l_.s.out_h ? l_.s.height
                                   : (band.rows - 1) * l_.s.stride_h + (l_.s.kernel_h - 1) * l_.s.dilation_h + 1;
  }

  void map(const Band &band, const Packed &p, Buffers &b) const {
    const axdnn_shape &s = l_.s;
    const int64_t pixels = band.images * rows_in(band) * s.width, count = pixels * l_.inputs;
    if (const size_t needed = p.pairs * count + kSlack; b.planes.size() < needed) b.planes.resize(needed);
    const int64_t first = (band.image * s.height + band.top * s.stride_h) * s.width;
    const uint8_t *codes = x_ + first * s.channels + conv_group_ * l_.inputs;
    if (s.groups > 1) {
      b.mapped.resize(count);
      for (int64_t i = 0; i < pixels; ++i)
        std::memcpy(b.mapped.data() + i * l_.inputs, codes + i * s.channels, l_.inputs);
      codes = reinterpret_cast<const uint8_t *>(b.mapped.data());
    }
    for (int64_t pair = 0; pair < p.pairs; ++pair) {
      const int8_t *f = d_.f + (p.first_pair + pair) * 256;
      int8_t shifted[256];
      for (int i = 0; i < 256; ++i) shifted[i] = static_cast<int8_t>(v_.unsigned_left ? f[i] ^ 0x80 : f[i]);
      v_.map(shifted, codes, count, b.planes.data() + pair * count);
    }
  }

  void lay_out(const Band &band, const Chunk &chunk, int64_t m, int64_t rows, Buffers &b) const {
    const axdnn_shape &s = l_.s;
    const int64_t height = rows_in(band), line = s.width * l_.inputs, plane = band.images * height * line;
    const int64_t stride = chunk.steps() * kStep;
    if (const size_t needed = up(rows, kTile) * stride + kSlack; b.left.size() < needed) b.left.resize(needed);
    int8_t *to = b.left.data();
    for (int64_t i = 0; i < rows; ++i, to = b.left.data() + i * stride) {
      const int64_t pixel = m + i, x = pixel % s.out_w, y = pixel / s.out_w % band.rows;
      const int64_t image = pixel / (s.out_w * band.rows);
      const int8_t *corner = b.planes.data() + (image * height + y * s.stride_h) * line + x * s.stride_w * l_.inputs;
      for (const Piece &piece : chunk.pieces) {
        copy(corner + piece.pair * plane + piece.from, piece.length, to);
        to += piece.length;
      }
    }
  }

  void multiply(const Band &band, const Packed &p, const Chunk &chunk, int64_t m, int64_t rows, Buffers &b) const {
    const int64_t panel_bytes = p.steps * kStepBytes, lda = chunk.steps() * kStep;
    for (int64_t n = 0; n < l_.outputs; n += kTile) {
      const int64_t columns = std::min(kTile, l_.outputs - n), panels = columns > kPanel ? 2 : 1;
      const int8_t *right = p.panels.data() + n / kPanel * panel_bytes + chunk.first_step * kStepBytes;
      for (int64_t i = 0; i < rows; i += kTile) {
        const int64_t block = std::min(kTile, rows - i);
        v_.kernel(b.left.data() + i * lda, lda, block, right, panel_bytes, panels, chunk.steps(), b.scratch);
        v_.add(b.scratch, block, columns, p.scale, output(band, m + i) + n, l_.s.outputs);
      }
    }
  }

  const Layout &l_;
  const axdnn_digits &d_;
  const uint8_t *x_;
  const Variant &v_;
  int64_t conv_group_;
  const std::vector<Packed> &packed_;
  const uint32_t *constant_;
  int32_t *out_;
};

void convolve(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
              const Variant &v, int32_t threads) {
  const Layout l(s);
  int64_t most = 1;
  for (int64_t g = 0; g < d.groups; ++g) most = std::max(most, d.sizes[g]);
  const std::vector<Band> work = bands(l, most, threads);
  for (int64_t group = 0; group < s.groups; ++group) {
    std::vector<uint32_t> constant(l.outputs, 0);
    for (int64_t n = 0; n < l.outputs; ++n)
      for (int64_t i = 0; i < l.window; ++i)
        constant[n] += static_cast<uint32_t>(d.shift[w[(group * l.outputs + n) * l.window + i]]);
    std::vector<Packed> packed;
    for (int64_t g = 0, first = 0; g < d.groups; first += d.sizes[g++])
      packed.push_back(pack(l, d, g, first, group, w, v, constant.data()));
    const Convolution convolution(l, d, x, v, group, packed, constant.data(), out);
    in_parallel(static_cast<int64_t>(work.size()), threads, [&](int64_t begin, int64_t end) {
      const auto buffers = std::make_unique<Buffers>();
      v.begin();
      for (int64_t i = begin; i < end; ++i) convolution.run(work[i], *buffers);
      v.end();
    });
  }
}

}  // namespace
}  // namespace axdnn

extern "C" int32_t axdnn_conv_digits(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                     const axdnn_digits *digits, int32_t *out, int32_t variant, int32_t threads) {
  using namespace axdnn;
  if (!sound(*shape) || threads < 1) return AXDNN_BAD_SHAPE;
  if (!axdnn_has(variant)) return AXDNN_NO_VARIANT;
  const Variant *variants[] = {&portable_variant, &avx2_variant, &vnni_variant, &amx_variant};
  try {
    convolve(*shape, x, w, *digits, out, *variants[variant], threads);
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
