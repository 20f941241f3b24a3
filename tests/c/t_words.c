/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/c/check.h"

#include "fs/session/words.h"

struct target {
	bool on;
	char *text;
	struct word_list list;
	unsigned long long number;
	struct word_id uid, umask;
	double seconds;
};

#define AT(f) offsetof(struct target, f)

static const struct word table[] = {
	{ "ignore_case", WORD_ON, AT(on) }, { "part", WORD_TEXT, AT(text) },
	{ "search", WORD_LIST, AT(list) }, { "size", WORD_NUMBER, AT(number) },
	{ "uid", WORD_ID, AT(uid) }, { "umask", WORD_OCTAL, AT(umask) },
	{ "attr_timeout", WORD_SECONDS, AT(seconds) },
	{ NULL, WORD_IGNORE, 0 },
};
static const struct word more[] = {
	{ "nofail", WORD_IGNORE, 0 }, { "comment", WORD_IGNORE, 0 },
	{ "noexec", WORD_PASS, 0 }, { NULL, WORD_IGNORE, 0 },
};

static struct target t;
static struct word_list pass;

static int parse(const char *text, struct diag *why)
{
	struct words next = { more, NULL, NULL, &pass };
	struct words w = { table, &t, &next, &pass };

	return words_parse(&w, text, why);
}

static void test_values_reach_their_fields(void)
{
	CHECK_INT(
		parse("ignore-case,part=label:A\\,B,search=/a,search=\"/b,c\","
		      "size=2m,uid=0,umask=027,attr-timeout=1.5,nofail,"
		      "noexec,x-systemd.automount,X-foo=1,comment=a=b,,",
		      NULL),
		0);
	CHECK(t.on && t.uid.set && t.umask.value == 027);
	CHECK_STR(t.text, "label:A,B");
	CHECK_INT(t.list.n, 2);
	CHECK_STR(t.list.items[1], "/b,c");
	CHECK_INT(t.number, 2 << 20);
	CHECK(t.seconds > 1.4 && t.seconds < 1.6);
	CHECK_INT(pass.n, 1);
	CHECK_STR(pass.items[0], "noexec");
}

static void test_bad_words_are_named(void)
{
	static const char *const bad[] = { "nosuch", "part", "ignore_case=1",
		"size=2x", "size=-1", "size=99999999999t", "umask=8",
		"umask=1777", "uid=nobody-at-all", "attr_timeout=soon" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct diag why = DIAG_INIT;

		CHECK_INT(parse(bad[i], &why), -EINVAL);
		CHECK(strstr(why.text, bad[i]));
	}
}

int main(void)
{
	test_values_reach_their_fields();
	test_bad_words_are_named();
	free(t.text);
	word_list_free(&t.list);
	word_list_free(&pass);
	return 0;
}
