// Pieces of the look-up path that exist once for each variant.
#ifndef AXDNN_LOOKUP_H
#define AXDNN_LOOKUP_H

#include <cstdint>

namespace axdnn {

constexpr int64_t kPixels = 256;       // output pixels of a block
constexpr int64_t kTermsAtOnce = 256;  // terms whose bytes certainly fit a sum of 16 bits: 256 * 255 < 2^16

// sums[i] = sum over terms t of the entry that codes[t][i] finds in the column of w[t]; codes (terms, kPixels).
using LookupKernel = void (*)(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes,
                              uint32_t *sums);

void permutes_one(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes, uint32_t *sums);
void permutes_two(const uint8_t *codes, int64_t terms, const uint8_t *w, const uint8_t *planes, uint32_t *sums);

}  // namespace axdnn

#endif
