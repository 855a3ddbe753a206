// Two squares, the second one shifted by (3, 4): along both axes SW_2^2 = (9 + 16) / 2.
#include <deblai/sliced.hpp>

#include <cmath>
#include <cstdio>

int main() {
    const double x[] = {0, 0, 1, 0, 0, 1, 1, 1}, y[] = {3, 4, 4, 4, 3, 5, 4, 5}, axes[] = {1, 0, 0, 1};
    double cost[2];
    deblai::sliced::Problem<double> problem;
    problem.x = {x, 4, 2, 2, 1};
    problem.y = {y, 4, 2, 2, 1};
    problem.directions = {axes, 2, 2, 2, 1};
    const deblai::sliced::Estimate e = deblai::sliced::wasserstein(problem, {.cost = cost});
    std::printf("SW_2^2 = %g after %lld directions\n", e.mean, static_cast<long long>(e.done));
    return e.done == 2 && std::abs(e.mean - 12.5) < 1e-12 ? 0 : 1;
}
