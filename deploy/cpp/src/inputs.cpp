#include "inputs.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace msseg {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kSuffixes = {".bmp", ".jp2", ".jpeg", ".jpg", ".npy",
                                         ".pbm", ".pgm", ".png",  ".pnm", ".ppm",
                                         ".tif", ".tiff", ".webp"};

bool IsImage(const fs::path &path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return kSuffixes.count(suffix) > 0 && path.filename().string().front() != '.';
}

// Returns a list's "file", which must be a file in its folder or below.
fs::path FileOf(const nlohmann::json &entry) {
  const fs::path file = entry.at("file").get<std::string>();
  const bool leads_up = std::find(file.begin(), file.end(), "..") != file.end();
  if (file.is_absolute() || leads_up || file.filename().empty() || file.filename() == ".") {
    throw std::runtime_error("names the file '" + file.string() +
                             "': expected a name in its own folder, or below it");
  }
  return file;
}

std::vector<int> ShapeOf(const nlohmann::json &entry) {
  std::vector<int> shape;
  for (const nlohmann::json &length : entry.at("shape")) {
    const bool is_whole = length.is_number_unsigned();
    if (!is_whole || length.get<uint64_t>() < 1 || length.get<uint64_t>() > kLongestSide) break;
    shape.push_back(length.get<int>());
  }
  if (shape.size() != 4 || entry.at("shape").size() != 4 || shape[0] != 1) {
    throw std::runtime_error("says that '" + entry.at("file").get<std::string>() +
                             "' is of shape " + entry.at("shape").dump() +
                             ": expected [1, channels, height, width], each from 1 to " +
                             std::to_string(kLongestSide));
  }
  return shape;
}

std::vector<Input> PreparedIn(const fs::path &list) {
  std::vector<Input> found;
  try {
    const nlohmann::json content = nlohmann::json::parse(ReadBytes(list));
    for (const auto &entry : content.at("inputs")) {
      const fs::path file = FileOf(entry);
      found.push_back({list.parent_path() / file, fs::path(file).replace_extension().string(),
                       ShapeOf(entry)});
    }
  } catch (const nlohmann::json::exception &error) {
    throw std::runtime_error("'" + list.string() +
                             "' is no list of prepared inputs: write it again with "
                             "tools/deploy/preprocess.py (" + error.what() + ")");
  } catch (const std::runtime_error &error) {
    throw std::runtime_error("'" + list.string() + "' " + error.what());
  }
  if (found.empty()) throw std::runtime_error("'" + list.string() + "' lists no input");
  return found;
}

std::vector<Input> ImagesIn(const fs::path &folder) {
  std::vector<Input> found;
  for (const auto &entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || !IsImage(entry.path())) continue;
    const fs::path name = fs::relative(entry.path(), folder).replace_extension();
    found.push_back({entry.path(), name.string(), {}});
  }
  if (found.empty()) throw std::runtime_error("folder '" + folder.string() + "' holds no image");
  std::sort(found.begin(), found.end(),
            [](const Input &a, const Input &b) { return a.path < b.path; });
  return found;
}

std::vector<Input> Expand(const fs::path &argument) {
  if (fs::is_directory(argument)) {
    const fs::path list = argument / "inputs.json";
    return fs::exists(list) ? PreparedIn(list) : ImagesIn(argument);
  }
  if (fs::exists(argument)) return {{argument, argument.stem().string(), {}}};
  throw std::runtime_error("'" + argument.string() + "': there is no such file or folder");
}

}  // namespace

std::vector<Input> FindInputs(const std::vector<std::string> &arguments) {
  std::vector<Input> found;
  for (const std::string &argument : arguments) {
    const std::vector<Input> more = Expand(argument);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

std::vector<unsigned char> ReadBytes(const fs::path &path) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) {
    throw std::runtime_error("'" + path.string() + "' cannot be read");
  }
  return bytes;
}

}  // namespace msseg
