// Sums of one pixel of a depthwise convolution, for up to kChannels channels at a time.
#ifndef AXDNN_DEPTHWISE_H
#define AXDNN_DEPTHWISE_H

#include <cstdint>
#include <vector>

namespace axdnn {

constexpr int64_t kChannels = 64;           // whose sums are kept in registers
constexpr int64_t kFourBytes = 4 * kChannels;  // weights of four terms of so many channels

// sums[c] += the products of `terms` bytes of channel c with its weights, (terms, stride).
using Summer = void (*)(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights,
                        int64_t stride, int64_t channels, int32_t *sums);

void sum_portable(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights, int64_t stride,
                  int64_t channels, int32_t *sums);
void sum_avx2(const int8_t *planes, const int64_t *offsets, int64_t terms, const int32_t *weights, int64_t stride,
              int64_t channels, int32_t *sums);

// Terms of one scale, in fours.
struct Fours {
  int64_t count;
  int32_t scale;
};

// Byte products (AVX-512 VNNI): sums[c] = constant[c] + scale * the products of unsigned bytes of channel c with its
// weights, over the fours of all scales; byte `place_in_four` of kFourBytes is the weight of a channel and term.
void sum_fours(const int8_t *planes, const int64_t *offsets, const std::vector<Fours> &scales, const int8_t *weights,
               const int32_t *constant, int64_t channels, int32_t *sums);

inline int64_t place_in_four(int64_t channel, int64_t term) {
  const int64_t lane = channel / 16, quarter = channel % 16 / 4;  // as bytes and pairs of bytes interleave
  return 64 * quarter + 16 * lane + 4 * (channel % 4) + term;
}

}  // namespace axdnn

#endif
