// Factors of the input, looked up once a byte.
#include "planes.h"

#include <algorithm>
#include <cstring>

#include "bytes.h"

namespace axdnn {
namespace {

// Rows [low, high) of an image come from codes, the border is that of `pad`.
void map_image(const axdnn_shape &s, const Stretch &stretch, const uint8_t *codes, const int8_t *table, int64_t low,
               int64_t high, const Variant &v, int8_t *to) {
  const int64_t inside = s.width * stretch.channels, side = s.pad_w * stretch.channels, line = inside + 2 * side;
  const int8_t border = table[s.pad];
  std::memset(to, border, low * line);
  if (side == 0) v.map(table, codes, (high - low) * line, to + low * line);
  else
    for (int64_t y = low; y < high; ++y, codes += inside) {
      std::memset(to + y * line, border, side);
      v.map(table, codes, inside, to + y * line + side);
      std::memset(to + y * line + side + inside, border, side);
    }
  std::memset(to + high * line, border, (stretch.height - high) * line);
}

}  // namespace

void map_planes(const axdnn_shape &s, const uint8_t *x, const Stretch &t, const int8_t *f, int64_t pairs,
                const Variant &v, Memory &memory, int8_t *planes) {
  const int64_t image = t.height * (s.width + 2 * s.pad_w) * t.channels, plane = t.images * image;
  const int64_t low = std::clamp<int64_t>(s.pad_h - t.top, 0, t.height);
  const int64_t high = std::clamp<int64_t>(s.pad_h + s.height - t.top, low, t.height);
  uint8_t *buffer = memory.room<uint8_t>((high - low) * s.width * t.channels);
  for (int64_t i = 0; i < t.images; ++i) {
    const uint8_t *codes = buffer;
    if (high > low)
      codes = inner_rows(s, x, t.image + i, t.top + low - s.pad_h, high - low, t.channel, t.channels, buffer);
    for (int64_t pair = 0; pair < pairs; ++pair) {
      int8_t table[256];
      for (int c = 0; c < 256; ++c) table[c] = static_cast<int8_t>(f[pair * 256 + c] ^ (v.initial ? 0x80 : 0));
      map_image(s, t, codes, table, low, high, v, planes + pair * plane + i * image);
    }
  }
}

}  // namespace axdnn
