// A small benchmark harness: every row states its goal, its rate, its error and its share of a floor.
//   run("name", {.goal_s, .work, .unit, .floor_s}, f): median of repeated calls; f returns its error.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace deblai::bench {

struct Spec {
    double goal_s;     // the time that this row should not exceed
    double work;       // how many units one call does
    const char* unit;  // what a unit is
    double floor_s;    // the least time that the counted operations allow
};

struct Row {
    std::string name;
    Spec spec;
    double median_s, best_s, error;
};

class Report {
public:
    template <class F>
    void run(const std::string& name, const Spec& spec, F&& f) {
        using Clock = std::chrono::steady_clock;
        double error = f();  // warm-up
        std::vector<double> times;
        const auto start = Clock::now();
        while (times.size() < 5 || (times.size() < 51 && Clock::now() - start < std::chrono::seconds(1))) {
            const auto t0 = Clock::now();
            error = f();
            times.push_back(std::chrono::duration<double>(Clock::now() - t0).count());
        }
        std::sort(times.begin(), times.end());
        rows_.push_back({name, spec, times[times.size() / 2], times[0], error});
        print(rows_.back());
    }

    void header() const {
        std::printf("%-44s %10s %10s %6s %16s %7s %9s\n", "case", "median s", "goal s", "met", "rate", "floor",
                    "error");
    }

    // One JSON array of objects, for bench/results.
    void write(const char* path) const {
        std::FILE* file = std::fopen(path, "w");
        if (!file) return;
        std::fprintf(file, "[\n");
        for (const Row& r : rows_)
            std::fprintf(file,
                         "  {\"case\": \"%s\", \"median_s\": %.6g, \"best_s\": %.6g, \"goal_s\": %.6g, \"rate\": %.6g, "
                         "\"unit\": \"%s\", \"floor_s\": %.6g, \"floor_share\": %.4g, \"error\": %.3g}%s\n",
                         r.name.c_str(), r.median_s, r.best_s, r.spec.goal_s, r.spec.work / r.median_s, r.spec.unit,
                         r.spec.floor_s, r.spec.floor_s / r.median_s, r.error, &r == &rows_.back() ? "" : ",");
        std::fprintf(file, "]\n");
        std::fclose(file);
    }

private:
    static void print(const Row& r) {
        std::printf("%-44s %10.3g %10.3g %6s %8.3g %-7s %6.0f%% %9.2g\n", r.name.c_str(), r.median_s, r.spec.goal_s,
                    r.median_s <= r.spec.goal_s ? "yes" : "NO", r.spec.work / r.median_s, r.spec.unit,
                    100 * r.spec.floor_s / r.median_s, r.error);
        std::fflush(stdout);
    }

    std::vector<Row> rows_;
};

}  // namespace deblai::bench
