// SPDX-License-Identifier: Apache-2.0
// Work in processes of their own: a crash takes one case with it and no other.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <map>

#include "tests/onnx/cases.h"
#include "tilewright/support/error.h"

namespace tilewright {

namespace {

using Clock = std::chrono::steady_clock;

struct Child {
  pid_t pid;
  size_t index;
  std::string text;
  Clock::time_point deadline;
  bool late = false;
};

/// Starts the work in a child that writes its verdict to the returned pipe.
std::pair<pid_t, int> Start(const std::function<std::string(size_t)>& work, size_t index) {
  int ends[2];
  TW_CHECK(pipe(ends) == 0, "no pipe: {}", std::strerror(errno));
  pid_t pid = fork();
  TW_CHECK(pid >= 0, "no process: {}", std::strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    std::string verdict = work(index);
    for (size_t done = 0; done < verdict.size();) {
      ssize_t n = write(ends[1], verdict.data() + done, verdict.size() - done);
      if (n <= 0) _exit(3);
      done += size_t(n);
    }
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

std::string Verdict(const Child& child, int status) {
  if (child.late) return "timeout";
  if (WIFSIGNALED(status)) return fmt::format("crash: signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return fmt::format("crash: exit status {}", WEXITSTATUS(status));
  return child.text;
}

}  // namespace

void RunIsolated(size_t count, int jobs, int seconds, const std::function<std::string(size_t)>& work,
                 const std::function<void(size_t, const std::string&)>& report) {
  std::map<int, Child> running;  // by pipe
  size_t next = 0;
  while (next < count || !running.empty()) {
    while (next < count && int(running.size()) < jobs) {
      auto [pid, fd] = Start(work, next);
      running[fd] = {pid, next++, "", Clock::now() + std::chrono::seconds(seconds), false};
    }
    std::vector<pollfd> fds;
    for (auto& [fd, child] : running) fds.push_back({fd, POLLIN, 0});
    poll(fds.data(), nfds_t(fds.size()), 200);
    for (const pollfd& p : fds) {
      Child& child = running.at(p.fd);
      if (!child.late && Clock::now() > child.deadline) {
        child.late = true;
        kill(child.pid, SIGKILL);
      }
      if (!p.revents) continue;
      char buffer[4096];
      ssize_t n = read(p.fd, buffer, sizeof buffer);
      if (n > 0) {
        child.text.append(buffer, size_t(n));
        continue;
      }
      int status = 0;
      waitpid(child.pid, &status, 0);
      close(p.fd);
      report(child.index, Verdict(child, status));
      running.erase(p.fd);
    }
  }
}

}  // namespace tilewright
