// Pieces of the look-up paths.
#ifndef AXDNN_LOOKUP_H
#define AXDNN_LOOKUP_H

#include <cstdint>
#include <vector>

#include "axdnn_kernels.h"
#include "memory.h"

namespace axdnn {

constexpr int64_t kLanes = 256;        // output pixels, or outputs, of a block
constexpr int64_t kTermsAtOnce = 256;  // terms whose bytes certainly fit a sum of 16 bits: 256 * 255 < 2^16
constexpr int64_t kOutputs = 16;       // outputs that are written together

inline void accumulate(int32_t &sum, int32_t value) {  // modulo 2^32
  sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(value));
}

// A convolution by look-ups: the input with its border, channel after channel; what all of them need.
struct Lookup {
  const axdnn_shape &s;
  const uint8_t *w;               // (outputs, inputs, kernel_h, kernel_w)
  int64_t inputs, outputs, taps;  // of a convolution group
  int64_t terms, height, width, plane, pixels_out;
  const uint8_t *bordered;        // (batch, channels, height, width), some bytes more may be read
  std::vector<int64_t> offsets;   // of every term from the corner of its window

  Lookup(const axdnn_shape &shape, const uint8_t *x, const uint8_t *weights, int32_t threads, Memory &memory);

  const uint8_t *corner(int64_t image, int64_t group, int64_t y, int64_t x) const {
    return bordered + (image * s.channels + group * inputs) * plane + y * s.stride_h * width + x * s.stride_w;
  }

  void copy_plane(const uint8_t *from, uint8_t *to) const;

  // Offsets in `bordered` of the windows of pixels [first, first + count), all images counted on.
  void find_corners(int64_t group, int64_t first, int64_t count, int64_t *corners) const;
};

struct Entries {
  const uint8_t *columns, *rows;  // (256 w, count, 256 x), (256 x, count, 256 w), or half of it
  int64_t count;
  bool folded;                    // weights of the upper half find the complements of what the lower half finds
  std::vector<int32_t> constant;  // (outputs): what every sum starts from
};

// What becomes of a sum: it is stored, or added to what is there.
struct Target {
  int32_t *out;
  bool add;
};

void over_pixels(const Lookup &l, const Entries &e, const Target &t, bool permutes, int32_t threads);
void over_outputs(const Lookup &l, const Entries &e, const Target &t, int32_t threads);  // needs byte permutes

// sums[i] = sum over terms t of the entry that codes[offsets[t] + i] finds in the column of w[t], for 64 * vectors
// pixels.
using PixelKernel = void (*)(const uint8_t *codes, const int64_t *offsets, int64_t terms, const uint8_t *w,
                             const uint8_t *columns, int64_t vectors, int32_t *sums);
extern const PixelKernel pixel_permutes[2];  // for entries of one and two bytes

// The same for outputs: weights[t] points to 64 * vectors column numbers, four groups of sixteen interleaved byte by
// byte; codes[t] picks the row; eight codes more are
// read. Folded weights are six bits of the column and its seventh on top; `signs` bytes further stands 255 for those of
// the upper half, else 0.
using OutputKernel = void (*)(const uint8_t *codes, const uint8_t *const *weights, int64_t signs, int64_t terms,
                              const uint8_t *rows, int64_t vectors, int32_t *sums);
extern const OutputKernel output_permutes[2], folded_permutes[2];

// to (count, kOutputs) = the transpose of sums (kOutputs, kLanes).
using Turner = void (*)(const int32_t *sums, int64_t count, int32_t *to);
void turn_512(const int32_t *sums, int64_t count, int32_t *to);

}  // namespace axdnn

#endif
