// A convex polyhedron that is cut by planes v.D = h: vertices in arrays, three planes through each. Of more than three
// planes through one point the polyhedron has several vertices there, with the same coordinates to the bit, so that
// every later cut treats them alike. Whatever rounding does, the graph stays that of a convex polyhedron: what is cut
// off is a disk of its dual triangulation.
#pragma once

#include "laguerre/lanes-inl.hpp"
#include "laguerre3-kernels.hpp"

namespace deblai::DEBLAI_LEVEL {
namespace {

using laguerre3::Corner;
using laguerre3::Fresh;
using laguerre3::Scratch;

enum class Cut { none, some, all, full };

// The side beyond: v.D > h, h = (|D|^2 + psi_i - psi_j) / 2.
struct Plane {
    double dx, dy, dz, h;
};

class Polyhedron {
public:
    explicit Polyhedron(const Scratch& memory) : m_(memory) {}

    DEBLAI_HD int size() const { return size_; }
    DEBLAI_HD int planes() const { return planes_; }
    DEBLAI_HD void clear() { size_ = 0; }
    // Largest distance of a vertex from the site, and its square.
    DEBLAI_HD double radius2() const { return radius2_; }
    DEBLAI_HD double radius() const { return __builtin_sqrt(radius2_); }

    // A box with a label for each side; `extent` is that of coordinates in which vertices and sites are rounded.
    void start(const double (&low)[3], const double (&high)[3], const std::int64_t (&label)[6], double extent) {
        for (int v = 0; v < 8; ++v) {
            int face[3], across[3], lows = 0;
            for (int k = 0; k < 3; ++k) {
                const int up = v >> k & 1;
                face[k] = 2 * k + up;
                across[k] = v ^ (1 << k);
                lows += !up;
            }
            m_.x[v] = v & 1 ? high[0] : low[0];
            m_.y[v] = v & 2 ? high[1] : low[1];
            m_.z[v] = v & 4 ? high[2] : low[2];
            const int second = lows % 2 ? 2 : 1, third = 3 - second;
            m_.corner[v] = {{face[0], face[second], face[third]}, {across[0], across[second], across[third]}};
        }
        for (int p = 0; p < 6; ++p) {
            m_.label[p] = label[p];
            m_.crossed[p] = 0;
        }
        size_ = 8;
        planes_ = 6;
        extent_ = extent;
        measure();
    }

    // Cuts off the side beyond; `full`, and nothing done, where the scratch is too small.
    DEBLAI_HD Cut clip(const Plane& p, std::int64_t label) {
        unsigned any = 0;
        for (int b = 0; b < size_; b += 8) {
            const V8 s = load8(m_.x + b) * p.dx + load8(m_.y + b) * p.dy + load8(m_.z + b) * p.dz - p.h, zero = {};
            store8(m_.s + b, s);
            any |= less(zero, s);
        }
        return any ? clip_beyond(p, label) : Cut::none;
    }

    // Is a vertex v as near in power to somewhere in the box (given relative to the site) as to the site? For
    // psi <= psi_i + gain + slope . D in the box that is, with w = v + slope / 2,
    //   |w - box|^2 <= |w|^2 + gain; equal where the box is a site at the same place
    DEBLAI_HD bool reached_by(const double (&low)[3], const double (&high)[3], double gain,
                              const double (&slope)[3]) const {
        const V8 zero = {};
        for (int b = 0; b < size_; b += 8) {
            V8 own = splat8(gain), its = {};
            const double* const at[3] = {m_.x, m_.y, m_.z};
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                const V8 w = load8(at[k] + b) + 0.5 * slope[k];
                const V8 d = largest(largest(low[k] - w, w - high[k]), zero);
                own = own + w * w;
                its = its + d * d;
            }
            if (less(own, its) != 0xFF) return true;
        }
        return false;
    }

private:
    // Lanes past the end repeat vertex 0, so they never decide anything.
    DEBLAI_HD void measure() {
        store8(m_.x + size_, splat8(m_.x[0]));
        store8(m_.y + size_, splat8(m_.y[0]));
        store8(m_.z + size_, splat8(m_.z[0]));
        V8 most = {};
        for (int b = 0; b < size_; b += 8) {
            const V8 x = load8(m_.x + b), y = load8(m_.y + b), z = load8(m_.z + b);
            most = largest(most, x * x + y * y + z * z);
        }
        radius2_ = top(most);
    }

    __attribute__((noinline)) Cut clip_beyond(const Plane& p, std::int64_t label) {
        const Scratch m = m_;
        // What is beyond by less than rounding is not, so that lattices get no slivers.
        const double tolerance =
            2e-15 *
            (extent_ * (__builtin_fabs(p.dx) + __builtin_fabs(p.dy) + __builtin_fabs(p.dz)) + __builtin_fabs(p.h));
        int removed = 0;
        for (int b = 0; b < size_; b += 8) {
            unsigned beyond = less(splat8(tolerance), load8(m.s + b));
            if (size_ - b < 8) beyond &= (1u << (size_ - b)) - 1;
            removed += bits_of(beyond, b, m.removed + removed);
        }
        if (removed == 0) return Cut::none;
        if (removed == size_) return clear(), Cut::all;
        if (planes_ == m.planes()) compact();
        int made = rim(m, removed, tolerance);
        if (!is_cycle(m, made)) {
            removed = disk(p, removed, tolerance);
            made = rim(m, removed, tolerance);
            is_cycle(m, made);
        }
        if (size_ + made - removed > m.capacity) return Cut::full;
        m.label[planes_] = label;
        m.crossed[planes_] = 0;
        replace(m, removed, made);
        ++planes_;
        measure();
        return Cut::some;
    }

    // Lists the edges from removed vertices to those that stay.
    DEBLAI_HD static int rim(const Scratch& m, int removed, double tolerance) {
        int made = 0;
        for (int i = 0; i < removed; ++i) {
            const std::int32_t v = static_cast<std::int32_t>(m.removed[i]);
            const Corner c = m.corner[v];
#pragma GCC unroll 3
            for (int k = 0; k < 3; ++k) {
                const std::int32_t u = c.next[k];
                const double inside = m.s[u];
                Fresh& f = m.fresh[made];
                f.gone = v, f.stays = u, f.from = c.plane[k == 2 ? 0 : k + 1], f.to = c.plane[k == 0 ? 2 : k - 1];
                made += !(inside > tolerance);
            }
        }
        for (int i = 0; i < made; ++i) {
            Fresh& f = m.fresh[i];
            const double inside = m.s[f.stays];
            f.t = inside < -tolerance ? inside / (inside - m.s[f.gone]) : 0.0;
        }
        return made;
    }

    // Is the rim a single cycle through different planes? Notes in crossed[from] which edge leaves a plane.
    DEBLAI_HD bool is_cycle(const Scratch& m, int made) {
        const std::int32_t base = base_ += last_, *const crossed = m.crossed;
        last_ = made;
        bool simple = true;
        for (int i = 0; i < made; ++i) {
            std::int32_t& c = m.crossed[m.fresh[i].from];
            simple &= c < base;
            c = base + i;
        }
        if (!simple || made < 6) return simple;  // a cycle has three or more
        int length = 0, at = 0;
        do at = crossed[m.fresh[at].to] - base, ++length;
        while (at > 0 && length <= made);
        return at == 0 && length == made;
    }

    // Rounding made the side beyond look like several pieces, or like a ring: keeps of it a disk around the vertex
    // that is farthest beyond, grown while it stays one; the other vertices count as lying on the plane.
    __attribute__((noinline)) int disk(const Plane& p, int removed, double tolerance) {
        int worst = 0;
        for (int i = 1; i < removed; ++i)
            if (m_.s[m_.removed[i]] > m_.s[m_.removed[worst]]) worst = i;
        for (int p = 0; p < planes_; ++p) m_.seen[p] = 0;
        // What has been taken has an infinite s until the end, and is noted as -1 - its number.
        const auto take = [&](int i) __attribute__((always_inline)) {
            const std::int64_t v = m_.removed[i];
            m_.removed[i] = -1 - v;
            m_.s[v] = __builtin_inf();
            for (const std::int32_t p : m_.corner[v].plane) m_.seen[p] = 1;
        };
        take(worst);
        for (bool grew = true; grew;) {
            grew = false;
            for (int i = 0; i < removed; ++i) {
                if (m_.removed[i] < 0) continue;
                const Corner& c = m_.corner[m_.removed[i]];
                int edges = 0, opposite = 0;
                for (int k = 0; k < 3; ++k)
                    if (m_.s[c.next[k]] == __builtin_inf()) ++edges, opposite = k;
                if (edges == 0 || edges == 3 || (edges == 1 && m_.seen[c.plane[opposite]])) continue;
                take(i);
                grew = true;
            }
        }
        int kept = 0;
        for (int i = 0; i < removed; ++i) {
            const std::int64_t v = m_.removed[i];
            if (v >= 0) {
                m_.s[v] = tolerance;
                continue;
            }
            const std::int64_t taken = -1 - v;
            const double s = m_.x[taken] * p.dx + m_.y[taken] * p.dy + m_.z[taken] * p.dz - p.h;
            m_.s[taken] = s > tolerance ? s : 2 * tolerance;
            m_.removed[kept++] = taken;
        }
        return kept;
    }

    DEBLAI_HD int slot(const Scratch& m, int i, int removed) const {
        return i < removed ? static_cast<int>(m.removed[i]) : size_ + (i - removed);
    }

    DEBLAI_HD static int edge_to(const Corner& c, int v) { return c.next[0] == v ? 0 : c.next[1] == v ? 1 : 2; }

    // Puts the fresh vertices where removed ones were, and closes the gaps that are left.
    DEBLAI_HD void replace(const Scratch& m, int removed, int made) {
        const std::int32_t base = base_, plane = planes_;
        // Removed vertices and numbers are read first: fresh ones take their places.
        for (int i = 0; i < made; ++i) {
            Fresh& f = m.fresh[i];
            const int u = f.stays, v = f.gone;
            f.back = edge_to(m.corner[u], v);
            f.x = m.x[u] + f.t * (m.x[v] - m.x[u]);
            f.y = m.y[u] + f.t * (m.y[v] - m.y[u]);
            f.z = m.z[u] + f.t * (m.z[v] - m.z[u]);
        }
        for (int i = 0; i < made; ++i) {
            const Fresh& f = m.fresh[i];
            const int w = slot(m, i, removed), after = slot(m, m.crossed[f.to] - base, removed);
            m.x[w] = f.x;
            m.y[w] = f.y;
            m.z[w] = f.z;
            Corner& c = m.corner[w];
            c.plane[0] = plane, c.plane[1] = f.from, c.plane[2] = f.to;
            c.next[0] = f.stays, c.next[1] = after;
            m.corner[after].next[2] = w;
            m.corner[f.stays].next[f.back] = w;
        }
        if (made >= removed) {
            size_ += made - removed;
            return;
        }
        while (removed > made) {
            const int hole = static_cast<int>(m.removed[--removed]), last = --size_;
            if (hole == last) continue;
            m.x[hole] = m.x[last];
            m.y[hole] = m.y[last];
            m.z[hole] = m.z[last];
            const Corner c = m.corner[hole] = m.corner[last];
            for (const std::int32_t u : c.next) m.corner[u].next[edge_to(m.corner[u], last)] = hole;
        }
    }

    // Forgets the planes that have no vertex left.
    __attribute__((noinline)) void compact() {
        for (int p = 0; p < planes_; ++p) m_.seen[p] = 0;
        for (int v = 0; v < size_; ++v)
            for (const std::int32_t p : m_.corner[v].plane) m_.seen[p] = 1;
        int kept = 0;
        for (int p = 0; p < planes_; ++p) {
            if (!m_.seen[p]) continue;
            m_.label[kept] = m_.label[p];
            m_.crossed[kept] = 0;
            m_.seen[p] = kept++;
        }
        for (int v = 0; v < size_; ++v)
            for (std::int32_t& p : m_.corner[v].plane) p = m_.seen[p];
        planes_ = kept;
    }

    Scratch m_;
    int size_ = 0, planes_ = 0;
    std::int32_t base_ = 1, last_ = 0;  // crossed[p] is at least base_ where the present rim leaves plane p
    double radius2_ = 0, extent_ = 0;
};

}  // namespace
}  // namespace deblai::DEBLAI_LEVEL
