// Factors of the input, looked up once a byte.
#ifndef AXDNN_PLANES_H
#define AXDNN_PLANES_H

#include "axdnn_kernels.h"
#include "digits.h"
#include "memory.h"

namespace axdnn {

// Images [image, image + images), rows [top, top + height) of the input with its border, `channels` channels.
struct Stretch {
  int64_t image, images, top, height, channel, channels;
};

// planes (pairs, images, height, width with border, channels) = f (pairs, 256) of the input's bytes.
void map_planes(const axdnn_shape &s, const uint8_t *x, const Stretch &stretch, const int8_t *f, int64_t pairs,
                const Variant &v, Memory &memory, int8_t *planes);

// Every channel a group of its own: products of vectors of channels, straight from the planes.
void convolve_depthwise(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
                        const axdnn_emission *emission, int32_t variant, const Variant &v, int32_t threads);

}  // namespace axdnn

#endif
