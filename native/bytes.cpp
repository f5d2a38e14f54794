// Bytes moved between layouts.
#include "bytes.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace axdnn {

void interleave_four(uint8_t *at) {
#if defined(__SSE2__)
  auto *groups = reinterpret_cast<__m128i *>(at);
  const __m128i a = _mm_loadu_si128(groups), b = _mm_loadu_si128(groups + 1);
  const __m128i c = _mm_loadu_si128(groups + 2), d = _mm_loadu_si128(groups + 3);
  const __m128i ab[2] = {_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)};
  const __m128i cd[2] = {_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d)};
  for (int i = 0; i < 2; ++i) {
    _mm_storeu_si128(groups + 2 * i, _mm_unpacklo_epi16(ab[i], cd[i]));
    _mm_storeu_si128(groups + 2 * i + 1, _mm_unpackhi_epi16(ab[i], cd[i]));
  }
#else
  uint8_t found[64];
  for (int q = 0; q < 16; ++q)
    for (int r = 0; r < 4; ++r) found[4 * q + r] = at[16 * r + q];
  std::memcpy(at, found, sizeof found);
#endif
}

const uint8_t *inner_rows(const axdnn_shape &s, const uint8_t *x, int64_t image, int64_t first, int64_t count,
                          int64_t channel, int64_t channels, uint8_t *buffer) {
  const uint8_t *from = x + image * s.x_batch + first * s.x_row + channel * s.x_channel;
  const bool rows_follow = count == 1 || s.x_row == s.width * s.x_column;
  // of a dimension of one element the distance says nothing
  const bool inner = channels == 1 || s.x_channel == 1, columns_follow = s.width == 1 || s.x_column == channels;
  if (inner && columns_follow && rows_follow) return from;
  if (s.x_column == 1 && s.width * count > 1) {
    if (rows_follow) transpose(from, s.x_channel, channels, count * s.width, buffer);
    else
      for (int64_t y = 0; y < count; ++y)
        transpose(from + y * s.x_row, s.x_channel, channels, s.width, buffer + y * s.width * channels);
    return buffer;
  }
  uint8_t *to = buffer;
  for (int64_t y = 0; y < count; ++y)
    for (int64_t i = 0; i < s.width; ++i, to += channels) {
      const uint8_t *pixel = from + y * s.x_row + i * s.x_column;
      if (s.x_channel == 1) std::memcpy(to, pixel, channels);
      else
        for (int64_t c = 0; c < channels; ++c) to[c] = pixel[c * s.x_channel];
    }
  return buffer;
}

const uint8_t *inner_weights(const axdnn_shape &s, const uint8_t *w, int64_t output, uint8_t *buffer) {
  const int64_t inputs = s.channels / s.groups, taps = s.kernel_h * s.kernel_w;
  const uint8_t *from = w + output * s.w_output;
  const auto follow = [&](int64_t channel, int64_t column) {
    return (inputs == 1 || s.w_channel == channel) && (s.kernel_w == 1 || s.w_column == column) &&
           (s.kernel_h == 1 || s.w_row == column * s.kernel_w);
  };
  if (follow(1, inputs)) return from;
  if (follow(taps, 1)) {
    transpose(from, taps, inputs, taps, buffer);
    return buffer;
  }
  uint8_t *to = buffer;
  for (int64_t y = 0; y < s.kernel_h; ++y)
    for (int64_t i = 0; i < s.kernel_w; ++i)
      for (int64_t c = 0; c < inputs; ++c) *to++ = from[c * s.w_channel + y * s.w_row + i * s.w_column];
  return buffer;
}

}  // namespace axdnn
