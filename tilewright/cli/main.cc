// SPDX-License-Identifier: Apache-2.0
// The tilewright command. Exit status: 0; 1 for an error that the user can mend; 2 for wrong usage; 3 for a
// bug.
#include <fmt/format.h>

#include "tilewright/cli/commands.h"
#include "tilewright/runtime/status.h"
#include "tilewright/support/error.h"

namespace tilewright {

int& ExitStatus() {
  static int status = 0;
  return status;
}

namespace {

int Main(int argc, char** argv) {
  CLI::App app("Tilewright compiles trained models into small fast modules, and runs them.", "tilewright");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("tilewright ") + TW_VERSION);
  app.footer("tilewright COMMAND --help says more on each.");
  AddRunCommand(app);
  AddCompileCommand(app);
  AddInspectCommand(app);
  AddBenchCommand(app);
  AddProfileCommand(app);
  AddGradientCommand(app);
  AddCacheCommand(app);
  AddCalibrateCommand(app);
  try {
    app.parse(argc, argv);
    return ExitStatus();
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  } catch (const runtime::RuntimeError& e) {
    // "TW5101: message" of the runtime, in the form of the other diagnostics.
    const std::string text = e.what();
    const size_t colon = text.find(": ");
    fmt::print(stderr, "error[{}]: {}\n", text.substr(0, colon), text.substr(colon + 2));
    return 1;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error[TW0002]: out of memory\n");
    return 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\nThis is a bug in Tilewright; please report it with the model.\n", e.what());
    return 3;
  }
}

}  // namespace

}  // namespace tilewright

int main(int argc, char** argv) { return tilewright::Main(argc, argv); }
