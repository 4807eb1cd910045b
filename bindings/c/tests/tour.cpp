// A protected file, read from C++ with an object that closes what it opened:
//
//   tour PROTECTED
//
// writes the contents to standard output.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include <strongroom.h>

namespace {

std::string last(uint32_t part) {
    size_t needed = 0;
    strongroom_error_text(part, nullptr, 0, &needed);
    std::vector<char> text(needed);
    if (strongroom_error_text(part, text.data(), text.size(), nullptr) != STRONGROOM_OK) {
        return "no text";
    }
    return std::string(text.data());
}

void must(uint32_t status) {
    if (status != STRONGROOM_OK) {
        throw std::runtime_error("[" + last(STRONGROOM_TEXT_CODE) + "]: " +
                                 last(STRONGROOM_TEXT_TITLE));
    }
}

class File {
public:
    explicit File(const std::string &path) : context_(), file_() {
        must(strongroom_context_open(nullptr, &context_));
        const uint32_t status = strongroom_file_open(context_, nullptr, path.c_str(), &file_);
        if (status != STRONGROOM_OK) {
            const std::runtime_error why("[" + last(STRONGROOM_TEXT_CODE) + "]");
            strongroom_context_close(context_);
            throw why;
        }
    }

    File(const File &) = delete;
    File &operator=(const File &) = delete;

    ~File() {
        strongroom_file_close(file_);
        strongroom_context_close(context_);
    }

    std::vector<char> read() const {
        uint64_t len = 0;
        must(strongroom_file_len(file_, &len));
        std::vector<char> bytes(static_cast<size_t>(len));
        size_t done = 0;
        must(strongroom_file_read(file_, 0, bytes.data(), bytes.size(), &done));
        bytes.resize(done);
        return bytes;
    }

private:
    strongroom_context context_;
    strongroom_file file_;
};

} // namespace

int main(int argc, char **argv) {
    if (argc != 2) {
        return 98;
    }
    try {
        const std::vector<char> bytes = File(argv[1]).read();
        return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() ? 0 : 97;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
