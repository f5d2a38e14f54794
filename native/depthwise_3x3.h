// Depthwise windows of 3 x 3: rows of outputs along which the columns of the windows slide through registers.
//
// A column is interleaved once, its rows side by side for each channel, for the three windows that it belongs to, and
// weights stay at hand for a whole row. Sums of further digit pairs are added to those that are there.
#ifndef AXDNN_DEPTHWISE_3X3_H
#define AXDNN_DEPTHWISE_3X3_H

#include <cstdint>
#include <vector>

#include "axdnn_kernels.h"

namespace axdnn {

// Sums of all channels of some rows of outputs, to[row * to_line + pixel * to_pixel + channel].
struct Rows3x3 {
  const int8_t *planes;          // the corner of the first window, for the first digit pair
  int64_t plane, line, column;   // bytes from pair to pair, from row to row, from column to column
  int64_t pairs;
  const int32_t *scales;         // of each pair
  const int8_t *weights;         // of groups of channels, of each pair, as `pack` writes them
  const int32_t *constant;       // of each channel, what its sums begin with
  int64_t channels, rows, pixels, stride_h, stride_w;  // stride_w is 1 or 2
  int32_t *to;
  int64_t to_line, to_pixel;
};

constexpr int64_t kMost3x3 = 16;  // channels whose weights are packed together
using Digits3x3 = int8_t[3][3][kMost3x3];  // (row, column, channel)

// A form of the kernel. It reads planes up to a column and kSlack bytes beyond the last window; weights of what it finds
// there are zero.
struct Kernel3x3 {
  int64_t group, bytes;  // channels that are packed together, and what their weights take for a pair
  void (*pack)(const Digits3x3 &digits, int8_t *weights);
  void (*run)(const Rows3x3 &rows);
};

extern const Kernel3x3 kernel_3x3_avx2, kernel_3x3_vnni;

// Packed weights of a layer.
class Windows3x3 {
 public:
  // Whether there is a kernel of the variant for such a shape; else it is for the general one.
  static bool suits(const axdnn_shape &s, int32_t variant);

  Windows3x3(const axdnn_shape &s, const uint8_t *w, const axdnn_digits &d, int32_t variant);

  // Sums of rows of outputs from planes (pairs, lines of the input) of `plane` and `line` bytes.
  void run(const int8_t *planes, int64_t plane, int64_t line, int64_t rows, int32_t *to) const;

 private:
  void pack(const uint8_t *w, const axdnn_digits &d, int64_t first, int64_t channels);

  const axdnn_shape &s_;
  const Kernel3x3 &kernel_;
  bool unsigned_;  // planes hold 128 more
  std::vector<int32_t> scales_, constant_;
  std::vector<int8_t> weights_;
};

}  // namespace axdnn

#endif
