#include "outputs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace msseg {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPngHeaderBytes = 33;
constexpr size_t kHeadBytes = 512;
// length, type and content, checksum
constexpr std::string_view kMarkChunk("\0\0\0\x0etEXtSoftware\0msseg\x2d\x91\x1b\x1c", 26);
constexpr std::string_view kListMark = "\"outputs\"";
constexpr std::string_view kMark = kMarkChunk.substr(4, 18);

using FileId = std::pair<dev_t, ino_t>;

// Returns false when there is no such file.
bool Identify(const fs::path &path, FileId *id) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return false;
  *id = {found.st_dev, found.st_ino};
  return true;
}

bool IsBelow(const fs::path &path, const fs::path &root) {
  const auto [end, unused] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end == root.end();
}

// Whether this program wrote a picture, or the list of its outputs.
bool IsOwn(const fs::path &path, std::string_view mark) {
  std::ifstream stream(path, std::ios::binary);
  std::string head(kHeadBytes, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.find(mark) != head.npos;
}

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

[[noreturn]] void Refuse(const fs::path &path, const std::string &why) {
  throw std::runtime_error("the result '" + path.string() + "' " + why +
                           ": name another folder with --out");
}

}  // namespace

std::vector<fs::path> PlanResults(const fs::path &out, const std::vector<Input> &inputs,
                                  const std::string &suffix,
                                  const std::vector<fs::path> &sources) {
  const fs::path root = fs::weakly_canonical(out);
  std::map<FileId, fs::path> kept;
  FileId id;
  for (const fs::path &source : sources) {
    if (Identify(source, &id)) kept.emplace(id, source);
  }
  for (const Input &input : inputs) {
    if (Identify(input.path, &id)) kept.emplace(id, input.path);
  }
  std::map<std::string, fs::path> taken;
  std::vector<fs::path> paths;
  for (const Input &input : inputs) {
    const fs::path path = out / (input.name + suffix);
    const bool is_link = fs::is_symlink(fs::symlink_status(path));
    const fs::path real = fs::weakly_canonical(is_link ? path : path.parent_path());
    if (!IsBelow(real, root)) {
      Refuse(path, "would be written to '" + real.string() + "', outside of '" + out.string() + "'");
    }
    const auto [other, is_new] = taken.emplace(LowerCase(input.name), input.path);
    if (!is_new) {
      throw std::runtime_error("the results of '" + other->second.string() + "' and '" +
                               input.path.string() + "' would both be called '" + input.name +
                               "': label them in two runs");
    }
    if (Identify(path, &id)) {
      if (const auto found = kept.find(id); found != kept.end()) {
        Refuse(path, "would replace '" + found->second.string() + "', which is read");
      }
      const bool has_mark = suffix == ".png" || suffix == ".json";
      if (has_mark && !IsOwn(path, suffix == ".png" ? kMark : kListMark)) {
        Refuse(path, "would replace a file that msseg has not written");
      }
    }
    paths.push_back(path);
  }
  return paths;
}

std::vector<uint8_t> MarkPng(std::vector<uint8_t> file) {
  file.insert(file.begin() + kPngHeaderBytes, kMarkChunk.begin(), kMarkChunk.end());
  return file;
}

void WriteBytes(const fs::path &path, const void *data, size_t num_bytes) {
  // a name of its own: one made of the result's could be longer than file systems allow
  const fs::path temporary = path.parent_path() / (".msseg." + std::to_string(getpid()) + ".tmp");
  std::error_code error;
  std::ofstream stream(temporary, std::ios::binary);
  stream.write(static_cast<const char *>(data), static_cast<std::streamsize>(num_bytes));
  stream.close();
  if (!stream) {
    const std::string why = std::strerror(errno);
    fs::remove(temporary, error);
    throw std::runtime_error("'" + path.string() + "' cannot be written (" + why + ")");
  }
  fs::rename(temporary, path, error);
  if (!error) return;
  const std::string message = "'" + path.string() + "' cannot be written (" + error.message() + ")";
  const bool is_too_long = error == std::errc::filename_too_long;
  fs::remove(temporary, error);
  if (is_too_long) throw NameTooLong(message);
  throw std::runtime_error(message);
}

}  // namespace msseg
