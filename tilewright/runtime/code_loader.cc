// SPDX-License-Identifier: Apache-2.0
// The system's loader identifies a library by its name, so that it may answer with an older file's code where
// a module was replaced on disk while its predecessor is still loaded, or was replaced between our reading it
// and the loader's. The code in memory is therefore compared with the verified bytes, and where they differ
// the library is loaded from a copy in memory.
#include "tilewright/runtime/code_loader.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tilewright/runtime/cpu_features.h"
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

[[noreturn]] void Fail(const std::string& why) {
  throw RuntimeError(ErrorId::kCannotLoadCode, "cannot load the module's code: " + why);
}

uint16_t HostMachine() {
#if defined(__x86_64__)
  return EM_X86_64;
#elif defined(__aarch64__)
  return EM_AARCH64;
#elif defined(__riscv)
  return EM_RISCV;
#else
  return EM_NONE;
#endif
}

// The program headers of the file; throws where the ELF file is not one for this machine.
std::vector<Elf64_Phdr> ProgramHeaders(std::span<const std::byte> elf) {
  Elf64_Ehdr header;
  if (elf.size() < sizeof header) Fail("it is too short for an ELF file");
  std::memcpy(&header, elf.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN) {
    Fail("it is not a 64-bit little-endian ELF shared library");
  }
  if (header.e_machine != HostMachine()) {
    throw RuntimeError(ErrorId::kWrongProcessor, "the module's code is for ELF machine " +
                                                     std::to_string(header.e_machine) + ", not for " +
                                                     std::string(HostArchitecture()));
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > elf.size() ||
      uint64_t{header.e_phnum} * sizeof(Elf64_Phdr) > elf.size() - header.e_phoff) {
    Fail("its program headers lie outside the file");
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  std::memcpy(segments.data(), elf.data() + header.e_phoff, segments.size() * sizeof(Elf64_Phdr));
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > elf.size() || segment.p_filesz > elf.size() - segment.p_offset ||
        segment.p_filesz > segment.p_memsz) {
      Fail("a segment lies outside the file");
    }
  }
  return segments;
}

// A handle of the system's loader, and the file in memory, if any, that it was loaded from.
struct Library {
  void* handle = nullptr;
  int fd = -1;

  Library() = default;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() {
    if (handle != nullptr) dlclose(handle);
    if (fd >= 0) close(fd);
  }
};

std::shared_ptr<Library> OpenPath(const std::string& path) {
  auto library = std::make_shared<Library>();
  // A name without a slash would be searched for among the system's libraries.
  std::unique_ptr<char, void (*)(void*)> full(realpath(path.c_str(), nullptr), std::free);
  if (full != nullptr) library->handle = dlopen(full.get(), RTLD_NOW | RTLD_LOCAL);
  return library;
}

int CreateMemoryFile() {
  constexpr unsigned kExecutable = 0x10;  // MFD_EXEC, which kernels before 6.3 refuse
  int fd = memfd_create("tilewright-kernels", MFD_CLOEXEC | kExecutable);
  return fd >= 0 ? fd : memfd_create("tilewright-kernels", MFD_CLOEXEC);
}

std::shared_ptr<Library> OpenCopy(std::span<const std::byte> elf) {
  auto library = std::make_shared<Library>();
  library->fd = CreateMemoryFile();
  if (library->fd < 0) Fail(std::string("no file in memory (") + std::strerror(errno) + ")");
  for (size_t done = 0; done < elf.size();) {
    ssize_t n = write(library->fd, elf.data() + done, elf.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) Fail(std::string("cannot write its copy (") + std::strerror(errno) + ")");
    done += static_cast<size_t>(n);
  }
  // The descriptor stays open with the library, so that no other file gets this name meanwhile.
  std::string name = "/proc/self/fd/" + std::to_string(library->fd);
  library->handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library->handle == nullptr) {
    const char* message = dlerror();
    Fail(message != nullptr ? message : "unknown reason");
  }
  return library;
}

// The program headers of a loaded object, looked for by its base address.
struct LoadedHeaders {
  ElfW(Addr) base;
  std::vector<Elf64_Phdr> headers;
};

int TakeHeaders(dl_phdr_info* info, size_t, void* argument) {
  auto* wanted = static_cast<LoadedHeaders*>(argument);
  if (info->dlpi_addr != wanted->base) return 0;
  wanted->headers.assign(info->dlpi_phdr, info->dlpi_phdr + info->dlpi_phnum);
  return 1;
}

// Whether the loaded library has the segments of `elf` and the same bytes in those that hold code.
bool HoldsCode(const Library& library, std::span<const std::byte> elf,
               const std::vector<Elf64_Phdr>& segments) {
  link_map* map = nullptr;
  if (dlinfo(library.handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr) return false;
  LoadedHeaders loaded{map->l_addr, {}};
  dl_iterate_phdr(&TakeHeaders, &loaded);
  if (loaded.headers.size() != segments.size() ||
      std::memcmp(loaded.headers.data(), segments.data(), segments.size() * sizeof(Elf64_Phdr)) != 0) {
    return false;
  }
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X) || !(segment.p_flags & PF_R)) continue;
    const auto* code = reinterpret_cast<const void*>(map->l_addr + segment.p_vaddr);
    if (std::memcmp(code, elf.data() + segment.p_offset, segment.p_filesz) != 0) return false;
  }
  return true;
}

std::vector<tw_kernel> FindKernels(const Library& library, const std::string& table_name,
                                   const std::vector<std::string>& names) {
  std::vector<tw_kernel> kernels;
  if (names.empty()) return kernels;
  const auto* table = static_cast<const tw_kernel_entry*>(dlsym(library.handle, table_name.c_str()));
  if (table == nullptr) Fail("it does not export the kernel table '" + table_name + "'");
#if defined(__GLIBC__)
  Dl_info info;
  void* found = nullptr;
  bool known = dladdr1(table, &info, &found, RTLD_DL_SYMENT) != 0 && found != nullptr;
  const auto* symbol = static_cast<const ElfW(Sym)*>(found);
  if (known && symbol->st_size != names.size() * sizeof(tw_kernel_entry)) {
    Fail("its kernel table has " + std::to_string(symbol->st_size) + " bytes, expected " +
         std::to_string(names.size()) + " entries");
  }
#endif
  for (size_t i = 0; i < names.size(); ++i) {
    if (table[i].name == nullptr || names[i] != table[i].name || table[i].function == nullptr) {
      Fail("entry " + std::to_string(i) + " of its kernel table is '" +
           (table[i].name != nullptr ? table[i].name : "") + "', expected '" + names[i] + "'");
    }
    kernels.push_back(table[i].function);
  }
  return kernels;
}

}  // namespace

LoadedCode LoadCode(std::span<const std::byte> elf, const std::string& path, const std::string& kernel_table,
                    const std::vector<std::string>& kernel_names) {
  std::vector<Elf64_Phdr> segments = ProgramHeaders(elf);
  std::shared_ptr<Library> library;
  if (!path.empty()) library = OpenPath(path);
  if (library == nullptr || library->handle == nullptr || !HoldsCode(*library, elf, segments)) {
    library = OpenCopy(elf);
    if (!HoldsCode(*library, elf, segments)) Fail("the system's loader answers with another library");
  }
  std::vector<tw_kernel> kernels = FindKernels(*library, kernel_table, kernel_names);
  return {std::move(library), std::move(kernels)};
}

}  // namespace tilewright::runtime
