// Weights of the digit path: factors looked up, laid out as windows are, four terms of sixteen outputs side by side.
#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "layout.h"
#include "threads.h"

namespace axdnn {
namespace {

constexpr int64_t kPiece = 1024;            // longest piece of a run
constexpr int64_t kLaidOut = 1536;          // most bytes of a window laid out at once, unless one piece is more
constexpr int64_t kStraight = 4096;         // most bytes of a column's weights in a chunk: two panels stay near
constexpr int64_t kWorthAThread = 1 << 18;  // weight digits
constexpr int64_t kPassBytes = 8 << 20;     // of packed weights at a time

std::vector<Chunk> chunks(const Layout &l, int64_t pairs, bool straight) {
  std::vector<Chunk> found;
  const int64_t line = l.width * l.inputs, across = l.wide ? 1 : l.s.kernel_w, most = straight ? kStraight : kLaidOut;
  const auto close = [&] { found.back().bytes = up(found.back().bytes, straight ? kFour : kStep); };
  for (int64_t pair = 0; pair < pairs; ++pair)
    for (int64_t r = 0, term = 0; r < l.s.kernel_h * across; ++r) {
      const int64_t corner = r / across * l.s.dilation_h * line + r % across * l.s.dilation_w * l.inputs;
      for (int64_t at = 0; at < l.run; at += kPiece) {
        const int64_t length = std::min(kPiece, l.run - at);
        if (found.empty() || found.back().bytes + length > most) {
          if (!found.empty()) close();
          const int64_t first = found.empty() ? 0 : found.back().first + found.back().bytes;
          found.emplace_back();
          found.back().first = first;
        }
        Chunk &chunk = found.back();
        chunk.pieces.push_back({pair, corner + at, term, length, chunk.bytes});
        chunk.bytes += straight ? up(length, kFour) : length;
        term += length;
      }
    }
  close();
  return found;
}

// Digits of one output's weights in the order of the chunks; what pads them is left alone.
void weight_digits(const Packed &p, const axdnn_digits &d, const uint8_t *codes, const Variant &v, int8_t *line) {
  for (const Chunk &chunk : p.chunks)
    for (size_t i = 0; i < chunk.pieces.size();) {
      const Piece &first = chunk.pieces[i];
      int64_t length = first.length;  // with what follows it in the weights as well as in the line
      for (++i; i < chunk.pieces.size() && chunk.pieces[i].pair == first.pair && chunk.pieces[i].at == first.at + length;
           ++i)
        length += chunk.pieces[i].length;
      v.map(d.g + (p.part.first_pair + first.pair) * 256, codes + first.term, length, line + chunk.first + first.at);
    }
}

class Packing {
 public:
  Packing(const Layout &l, const axdnn_digits &d, int64_t conv_group, const uint8_t *w, const Variant &v,
          std::vector<Packed> &packed, int32_t *constant)
      : l_(l), d_(d), conv_group_(conv_group), w_(w), v_(v), packed_(packed), constant_(constant),
        shifted_(std::any_of(d.shift, d.shift + 256, [](auto shift) { return shift != 0; })) {}

  void run(int64_t first_panel, int64_t end_panel) const {
    int64_t most = 0;
    for (const Packed &p : packed_) most = std::max(most, p.bytes);
    std::vector<int8_t> lines(kPanel * most + kSlack);  // zero where nothing is written
    std::vector<uint8_t> codes(kPanel * (l_.window + kSlack));
    for (int64_t first = first_panel * kPanel; first < end_panel * kPanel; first += kPanel) {
      const int64_t columns = std::min(kPanel, l_.outputs - first);
      const uint8_t *weights[kPanel];
      for (int64_t n = 0; n < columns; ++n) {
        const int64_t output = conv_group_ * l_.outputs + first + n;
        weights[n] = inner_weights(l_.s, w_, output, codes.data() + n * (l_.window + kSlack));
        if (constant_) constant_[first + n] = shifted_ ? shift(weights[n]) : 0;
      }
      for (Packed &p : packed_) {
        std::memset(lines.data(), 0, packed_.size() > 1 || columns < kPanel ? kPanel * p.bytes : 0);
        for (int64_t n = 0; n < columns; ++n) weight_digits(p, d_, weights[n], v_, lines.data() + n * p.bytes);
        int8_t *panel = p.panels + first * p.bytes;
        v_.interleave(lines.data(), p.bytes, p.bytes, panel);
        if (v_.initial) v_.initial(panel, p.bytes, p.initial.data() + first);
      }
    }
  }

 private:
  int32_t shift(const uint8_t *codes) const {
    uint32_t parts[4] = {};  // added up beside each other
    int64_t i = 0;
    for (; i + 4 <= l_.window; i += 4)
      for (int64_t j = 0; j < 4; ++j) parts[j] += static_cast<uint32_t>(d_.shift[codes[i + j]]);
    for (; i < l_.window; ++i) parts[0] += static_cast<uint32_t>(d_.shift[codes[i]]);
    return static_cast<int32_t>(parts[0] + parts[1] + parts[2] + parts[3]);
  }

  const Layout &l_;
  const axdnn_digits &d_;
  int64_t conv_group_;
  const uint8_t *w_;
  const Variant &v_;
  std::vector<Packed> &packed_;
  int32_t *constant_;
  bool shifted_;
};

}  // namespace

std::vector<std::vector<Part>> passes(const Layout &l, const axdnn_digits &d) {
  const int64_t panels = up(l.outputs, kPanel) / kPanel, pair_bytes = panels * kPanel * up(l.window, kStep);
  const int64_t most = std::max<int64_t>(1, kPassBytes / pair_bytes);  // pairs of a pass
  std::vector<std::vector<Part>> found(1);
  int64_t left = most;
  for (int64_t g = 0, pair = 0; g < d.groups; ++g)
    for (const int64_t end = pair + d.sizes[g]; pair < end;) {
      if (left == 0) found.emplace_back(), left = most;
      const int64_t pairs = std::min(left, end - pair);
      found.back().push_back({pairs, pair, d.scales[g]});
      pair += pairs, left -= pairs;
    }
  return found;
}

std::vector<Packed> pack(const Layout &l, const axdnn_digits &d, const std::vector<Part> &parts, int64_t conv_group,
                         const uint8_t *w, const Variant &v, int32_t threads, Memory &memory, int32_t *constant) {
  std::vector<Packed> packed;
  const int64_t panels = up(l.outputs, kPanel) / kPanel;
  int64_t bytes = 0;
  for (const Part &part : parts) {
    Packed p{part, chunks(l, part.pairs, v.straight != nullptr), 0, nullptr, {}};
    p.bytes = p.chunks.back().first + p.chunks.back().bytes;
    if (v.initial) p.initial.resize(panels * kPanel);
    bytes += panels * kPanel * p.bytes;
    packed.push_back(std::move(p));
  }
  int8_t *at = memory.room<int8_t>(bytes);
  for (Packed &p : packed) {
    p.panels = at;
    at += panels * kPanel * p.bytes;
  }
  const Packing packing(l, d, conv_group, w, v, packed, constant);
  in_parallel(panels, bytes < kWorthAThread ? 1 : threads,
              [&](int64_t begin, int64_t end) { packing.run(begin, end); });
  return packed;
}

}  // namespace axdnn
