/* SPDX-License-Identifier: Apache-2.0
 *
 * commands_call.c - `call`: send requests of the REST API to a database without a server.
 *
 * Either one request from the arguments, or with --lines one after the other from standard input
 * until it ends. A line is {"verb":...,"path":...,"body":...}, the body any JSON, or a string
 * whose content is the body (which need not be JSON then). Each answer is one line
 * {"http":200,"body":"the reply's text"}, written out before the next line is read, so that
 * another program can hold a conversation. Between two requests of --lines the database does some
 * of its background work: there is no other moment for it. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "commands_text.h"

/* Background work after each line: short enough not to be noticed by who is typing. */
enum { MAINTAIN_MS = 20 };

typedef struct call_options {
    const char *directory;
    bool lines;
    bool read_only;
} call_options;

static int print_reply(const oct_reply *reply)
{
    (void)fwrite(reply->body, 1, reply->body_bytes, stdout);
    if (reply->body_bytes == 0 || reply->body[reply->body_bytes - 1] != '\n') (void)putchar('\n');
    if (fflush(stdout) != 0) return oct_command_fail("standard output: %s", strerror(errno));
    return reply->http_status >= 200 && reply->http_status < 300 ? OCT_EXIT_OK : OCT_EXIT_FAILED;
}

static int call_once(const call_options *options, const oct_host *host, char **words)
{
    oct_text file = { 0 };
    oct_command_db opened;
    oct_reply reply;
    oct_str body = { "", 0 };
    if (words[2]) body = (oct_str){ words[2], strlen(words[2]) };
    if (body.bytes > 0 && (words[2][0] == '@' || strcmp(words[2], "-") == 0)) {
        const char *path = words[2][0] == '@' ? words[2] + 1 : "-";
        if (!oct_text_read(&file, path)) {
            oct_text_free(&file);
            return oct_command_fail("%s: %s", path, strerror(errno));
        }
        body = (oct_str){ file.at, file.bytes };
    }
    int code = OCT_EXIT_FAILED;
    if (oct_command_open(host, options->directory, options->read_only, &opened)) {
        oct_call_request request = { .verb = words[0],
                                     .path = { words[1], strlen(words[1]) },
                                     .body = body };
        oct_call(opened.db, &request, &reply);
        code = reply.body ? print_reply(&reply) : oct_command_fail("out of memory");
        oct_reply_free(opened.db, &reply);
        oct_command_close(&opened);
    }
    oct_text_free(&file);
    return code;
}

/* ---- --lines ---------------------------------------------------------------------------- */

typedef struct call_line { /* one request; kept between lines so that memory is reused */
    oct_text verb, path, body;
} call_line;

/* Cut a line into its parts; NULL, or what is wrong with it. */
static const char *read_line(oct_str line, call_line *out)
{
    oct_str verb, path, body;
    out->verb.bytes = out->path.bytes = out->body.bytes = 0;
    if (!oct_text_member(line, "verb", &verb) || !oct_text_unquote(verb, &out->verb))
        return "no string member verb";
    if (!oct_text_member(line, "path", &path) || !oct_text_unquote(path, &out->path))
        return "no string member path";
    oct_text_add(&out->verb, "", 1); /* its NUL */
    if (!oct_text_member(line, "body", &body)) return NULL;
    if (body.at[0] != '"')
        oct_text_add(&out->body, body.at, body.bytes);
    else if (!oct_text_unquote(body, &out->body))
        return "the body is a broken string";
    if (out->verb.failed || out->path.failed || out->body.failed) return "out of memory";
    return NULL;
}

static bool write_answer(int http, oct_str body)
{
    oct_text answer = { 0 };
    oct_text_print(&answer, "{\"http\":%d,\"body\":", http);
    oct_text_quote(&answer, body);
    oct_text_add(&answer, "}\n", 2);
    bool written = !answer.failed && fwrite(answer.at, 1, answer.bytes, stdout) == answer.bytes &&
                   fflush(stdout) == 0;
    oct_text_free(&answer);
    return written;
}

/* Answer one line; false when the answer can't be written. *bad counts lines that are none. */
static bool answer_line(oct_db *db, oct_str line, call_line *parts, size_t *bad)
{
    const char *problem = read_line(line, parts);
    if (problem) {
        oct_text text = { 0 };
        ++*bad;
        oct_text_print(&text,
                       "{\"result\":null,\"status\":{\"error\":\"not a line of octant call: "
                       "%s\"},\"time\":0.0}",
                       problem);
        bool written = write_answer(400, (oct_str){ text.at, text.bytes });
        oct_text_free(&text);
        return written;
    }
    oct_reply reply;
    oct_call_request request = { .verb = parts->verb.at,
                                 .path = { parts->path.at, parts->path.bytes },
                                 .body = { parts->body.at, parts->body.bytes } };
    oct_call(db, &request, &reply);
    bool written =
        reply.body && write_answer(reply.http_status, (oct_str){ reply.body, reply.body_bytes });
    oct_reply_free(db, &reply);
    return written;
}

static int call_lines(const call_options *options, const oct_host *host)
{
    oct_command_db opened;
    oct_error error = { 0 };
    call_line parts = { 0 };
    char *line = NULL;
    size_t capacity = 0, bad = 0;
    ssize_t bytes;
    int code = OCT_EXIT_OK;
    if (!oct_command_open(host, options->directory, options->read_only, &opened))
        return OCT_EXIT_FAILED;
    while (code == OCT_EXIT_OK && (bytes = getline(&line, &capacity, stdin)) >= 0) {
        bool more;
        if (!answer_line(opened.db, (oct_str){ line, (size_t)bytes }, &parts, &bad))
            code = oct_command_fail("the answer can't be written: %s", strerror(errno));
        else if (!options->read_only &&
                 oct_maintain(opened.db, MAINTAIN_MS, &more, &error) != OCT_OK)
            (void)oct_command_fail("background work: %s", error.message); /* calls still work */
    }
    if (ferror(stdin)) code = oct_command_fail("standard input: %s", strerror(errno));
    free(line);
    oct_text_free(&parts.verb);
    oct_text_free(&parts.path);
    oct_text_free(&parts.body);
    oct_command_close(&opened);
    if (bad > 0) code = oct_command_fail("%zu lines were no requests", bad);
    return code;
}

static int run(int argc, char **argv, const oct_host *host)
{
    static const struct option known[] = { { "data", required_argument, NULL, 'd' },
                                           { "lines", no_argument, NULL, 'l' },
                                           { "read-only", no_argument, NULL, 'r' },
                                           { 0 } };
    call_options options = { .directory = "./octant-data" };
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == 'd')
            options.directory = optarg;
        else if (letter == 'l')
            options.lines = true;
        else if (letter == 'r')
            options.read_only = true;
        else
            return oct_command_usage(&oct_command_call, "the options are wrong");
    }
    int words = argc - optind;
    if (options.lines && words == 0) return call_lines(&options, host);
    if (options.lines || words < 2 || words > 3)
        return oct_command_usage(&oct_command_call, "expected VERB PATH [BODY], or --lines");
    char *request[] = { argv[optind], argv[optind + 1], words > 2 ? argv[optind + 2] : NULL };
    return call_once(&options, host, request);
}

const oct_command oct_command_call = {
    .name = "call",
    .summary = "send requests of the REST API to a directory, without a server",
    .help =
        "usage: octant call VERB PATH [BODY | @FILE | -] [--data DIR] [--read-only]\n"
        "       octant call --lines [--data DIR] [--read-only]\n"
        "\n"
        "Sends one request (\"-\": the body is standard input) and prints the reply's body.\n"
        "\n"
        "  --data DIR   the database's directory (./octant-data), created when missing\n"
        "  --read-only  change nothing, and work beside a process that owns the directory\n"
        "  --lines      read requests from standard input, one JSON object a line:\n"
        "                 {\"verb\":\"GET\",\"path\":\"/collections\",\"body\":...}\n"
        "               body: any JSON, or a string that holds the text of the body, or none.\n"
        "               Each is answered with one line {\"http\":200,\"body\":\"...\"}.\n"
        "\n"
        "Exit code 0 when the reply is a 2xx; with --lines when every line was a request,\n"
        "whatever its reply. 1 for other replies, a directory that can't be opened or is in use.\n",
    .run = run,
};
