// A cell clipped by the neighbours that it had for another psi, by theirs, and by those of whoever cuts: no search. It
// holds the true cell; the areas of all cells tell whether it is the true one.
#pragma once

#include "near-inl.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

template <bool Weighted>
class Again {
public:
    Again(const Scene& scene, const Site& site, ClippedPolygon& polygon)
        : scene_(scene), site_(site), polygon_(polygon) {}

    Status run() {
        Octagon small = polygon_.small();
        const double extent = polygon_.extent();
        Cut done = Cut::none;
        // Goes on from where it was once the octagon is too small.
        std::int64_t j = site_.place;
        std::int32_t e = scene_.known_begin[j];
        int t = -1;
        for (;;) {
            for (; e < scene_.known_begin[j + 1]; ++e) {
                const std::int64_t k = scene_.known[e];
                if (k == site_.place) continue;
                done = small.clip(bisector(k), k, extent);
                if (done == Cut::none) continue;
                if (done != Cut::some) break;
                note(k);
            }
            if (done != Cut::none && done != Cut::some) break;
            if (++t == cutters_) break;
            j = cutter_[t];
            e = scene_.known_begin[j];
        }
        if (done == Cut::all) return polygon_.clear(), Status::done;
        polygon_.adopt(small);
        return done == Cut::full ? in_memory(t, j, e) : Status::done;
    }

private:
    __attribute__((noinline)) Status in_memory(int t, std::int64_t j, std::int32_t e) {
        for (;;) {
            for (; e < scene_.known_begin[j + 1]; ++e) {
                const std::int64_t k = scene_.known[e];
                if (k == site_.place) continue;
                const Cut done = polygon_.clip(bisector(k), k);
                if (done == Cut::full) return Status::grow;
                if (done == Cut::all) return Status::done;
                if (done == Cut::some) note(k);
            }
            if (++t == cutters_) return Status::done;
            j = cutter_[t];
            e = scene_.known_begin[j];
        }
    }

    DEBLAI_HD Bisector bisector(std::int64_t j) const {
        const Leaf& leaf = scene_.leaf[j / laguerre::lanes];
        const int k = static_cast<int>(j % laguerre::lanes);
        double dx = leaf.x[k] - site_.x, dy = leaf.y[k] - site_.y;
        if (scene_.periodic) {
            const double lx = scene_.upper[0] - scene_.lower[0], ly = scene_.upper[1] - scene_.lower[1];
            dx -= lx * __builtin_rint(dx / lx);
            dy -= ly * __builtin_rint(dy / ly);
        }
        double h = dx * dx + dy * dy;
        if constexpr (Weighted) h += site_.psi - leaf.psi[k];
        return {dx, dy, 0.5 * h};
    }

    DEBLAI_HD void note(std::int64_t j) {
        if (cutters_ < most_cutters) cutter_[cutters_++] = j;
    }

    static constexpr int most_cutters = 64;

    const Scene& scene_;
    const Site site_;
    ClippedPolygon& polygon_;
    int cutters_ = 0;
    std::int64_t cutter_[most_cutters];
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
