/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The XML document (FORMAT.md 8): what the images are called, and whether the
 * rest can be read at all. libxml2 keeps it whole. */
#include <libxml/parser.h>
#include <libxml/xmlerror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/base/alloc.h"
#include "formats/base/utf16.h"
#include "formats/wim/wim_int.h"

#define PATH_PART 64

static void silent(void *ctx, xmlErrorPtr error)
{
}

/* Half of a pair is no UTF-8 that libxml2 takes: a question mark. */
static void replace_surrogates(char *s)
{
	for (uint8_t *p = (uint8_t *)s; *p; p++)
		if (p[0] == 0xed && p[1] >= 0xa0)
			p[0] = p[1] = p[2] = '?';
}

/* len bytes of UTF-16 to text; the mark in front is optional. */
static int to_text(const uint8_t *raw, size_t len, char **out)
{
	size_t n = len / 2;
	char *text;
	int ret;

	if (n && le16_at(raw) == 0xfeff) {
		raw += 2;
		n--;
	}
	while (n && !le16_at(raw + 2 * (n - 1)))
		n--;
	text = mem_alloc(UTF16_TO_UTF8_MAX(n) + 1, 1);
	if (!text)
		return -ENOMEM;
	ret = utf16le_to_utf8(raw, n, text, UTF16_TO_UTF8_MAX(n) + 1);
	if (ret < 0 || strlen(text) != (size_t)ret) {
		free(text);
		return -ERR_CORRUPT;
	}
	replace_surrogates(text);
	*out = text;
	return 0;
}

static int read_text(struct wim *w, char **out, struct diag *why)
{
	struct wim_file *f = w->files[0];
	struct wim_res res;
	uint8_t *raw;
	int ret;

	if (f->hdr.xml.usize > WIM_XML_MAX)
		return diag_fail(why, ERR_CORRUPT, "wim: XML larger than 16 "
				 "MiB: %llu",
				 (unsigned long long)f->hdr.xml.usize);
	ret = wim_res_plain(f, &f->hdr.xml, &res, why);
	if (ret)
		return ret;
	raw = mem_alloc((size_t)res.hdr.usize + 1, 1);
	ret = raw ? wim_res_read(w, &res, raw, (size_t)res.hdr.usize, 0)
		  : -ENOMEM;
	if (!ret)
		ret = to_text(raw, (size_t)res.hdr.usize, out);
	free(raw);
	return ret ? diag_fail(why, ret, "wim: XML cannot be read: %s",
			       strerror(-ret)) : 0;
}

/* Entities are how a few bytes become gigabytes; nobody who writes these
 * files declares any. */
static int parse(const char *text, xmlDocPtr *out, struct diag *why)
{
	xmlParserCtxtPtr ctx;
	xmlDocPtr doc;
	xmlNodePtr root;

	if (strstr(text, "<!DOCTYPE") || strstr(text, "<!ENTITY"))
		return diag_fail(why, ERR_CORRUPT,
				 "wim: XML that declares entities");
	ctx = xmlNewParserCtxt();
	if (!ctx)
		return diag_fail(why, ENOMEM, "wim: no memory for the XML");
	ctx->sax->serror = silent;
	doc = xmlCtxtReadMemory(ctx, text, (int)strlen(text), NULL, "UTF-8",
				XML_PARSE_NONET | XML_PARSE_NOERROR |
				XML_PARSE_NOWARNING);
	xmlFreeParserCtxt(ctx);
	root = doc ? xmlDocGetRootElement(doc) : NULL;
	if (!root || xmlStrcmp(root->name, BAD_CAST "WIM")) {
		xmlFreeDoc(doc);
		return diag_fail(why, ERR_CORRUPT, "wim: XML that cannot be "
				 "parsed");
	}
	*out = doc;
	return 0;
}

static xmlNodePtr child(xmlNodePtr parent, const char *name)
{
	xmlNodePtr n = parent ? parent->children : NULL;

	while (n && (n->type != XML_ELEMENT_NODE ||
		     xmlStrcmp(n->name, BAD_CAST name)))
		n = n->next;
	return n;
}

/* The IMAGE whose INDEX is image. */
static xmlNodePtr image_element(xmlNodePtr root, unsigned image)
{
	char want[16];

	snprintf(want, sizeof(want), "%u", image);
	for (xmlNodePtr n = child(root, "IMAGE"); n; n = n->next) {
		xmlChar *index;
		bool found;

		if (n->type != XML_ELEMENT_NODE ||
		    xmlStrcmp(n->name, BAD_CAST "IMAGE"))
			continue;
		index = xmlGetProp(n, BAD_CAST "INDEX");
		found = index && !xmlStrcmp(index, BAD_CAST want);
		xmlFree(index);
		if (found)
			return n;
	}
	return NULL;
}

char *wim_text(const struct wim *w, unsigned image, const char *path)
{
	xmlNodePtr n = w->xml ? xmlDocGetRootElement(w->xml) : NULL;
	xmlChar *text;
	char *out;

	if (n && image)
		n = image_element(n, image);
	while (n && *path) {
		size_t len = strcspn(path, "/");
		char part[PATH_PART];

		if (len >= sizeof(part))
			return NULL;
		memcpy(part, path, len);
		part[len] = 0;
		n = child(n, part);
		path += len + (path[len] == '/');
	}
	text = n ? xmlNodeGetContent(n) : NULL;
	if (!text)
		return NULL;
	out = mem_strdup((char *)text);
	xmlFree(text);
	return out;
}

/* Bad XML costs the names, no more: the images are found without. */
int wim_xml_load(struct wim *w, struct diag *why)
{
	struct diag bad = DIAG_INIT;
	char *text = NULL;
	int ret = 0;

	if (w->files[0]->hdr.xml.off)
		ret = read_text(w, &text, &bad);
	if (!ret && text)
		ret = parse(text, &w->xml, &bad);
	free(text);
	if (ret == -ENOMEM)
		return diag_fail(why, ret, "wim: no memory for the XML");
	if (ret)
		wim_warn(w, "%s", bad.text);
	if (w->xml && child(child(xmlDocGetRootElement(w->xml), "ESD"),
			    "ENCRYPTED"))
		return diag_fail(why, ERR_UNSUPP,
				 "wim: encrypted ESD, which only Windows "
				 "Update can open");
	return 0;
}

void wim_xml_free(struct wim *w)
{
	xmlFreeDoc(w->xml);
}
