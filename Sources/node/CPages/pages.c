// Embeds the web pages. The compiler reads the files, and compiles this file again when one of them
// changes. To add a file, add it to both lists.
// Two files become one where a page would need one more request.
#include "CPages.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char confab_js[] = {
#embed "../../../clients/js/confab.js"
};
static const unsigned char list_html[] = {
#embed "web/list.html"
};
static const unsigned char conversation_html[] = {
#embed "web/conversation.html"
};
static const unsigned char page_css[] = {
#embed "web/base.css"
    ,
#embed "web/page.css"
};
static const unsigned char list_css[] = {
#embed "web/list.css"
};
static const unsigned char list_js[] = {
#embed "web/list.js"
};
static const unsigned char page_js[] = {
#embed "web/page.js"
};
static const unsigned char composer_js[] = {
#embed "web/composer.js"
};
static const unsigned char scroll_js[] = {
#embed "web/row.js"
    ,
#embed "web/scroll.js"
};
static const unsigned char panel_js[] = {
#embed "web/panel.js"
};
static const unsigned char text_js[] = {
#embed "web/dom.js"
    ,
#embed "web/text.js"
};
static const unsigned char dom_js[] = {
#embed "web/dom.js"
};
static const unsigned char admin_html[] = {
#embed "web/admin.html"
};
static const unsigned char admin_css[] = {
#embed "web/base.css"
    ,
#embed "web/admin.css"
};
static const unsigned char admin_js[] = {
#embed "web/admin.js"
};
static const unsigned char admin_view_js[] = {
#embed "web/admin.view.js"
};
static const unsigned char manifest[] = {
#embed "web/manifest.webmanifest"
};
static const unsigned char icon_svg[] = {
#embed "web/icon.svg"
};
static const unsigned char icon_192_png[] = {
#embed "web/icon-192.png"
};
static const unsigned char icon_512_png[] = {
#embed "web/icon-512.png"
};

#define FILE(name, bytes) {name, bytes, sizeof bytes}

static const struct web_file files[] = {
    FILE("confab.js", confab_js),
    FILE("list.html", list_html),
    FILE("conversation.html", conversation_html),
    FILE("page.css", page_css),
    FILE("list.css", list_css),
    FILE("list.js", list_js),
    FILE("page.js", page_js),
    FILE("composer.js", composer_js),
    FILE("scroll.js", scroll_js),
    FILE("panel.js", panel_js),
    FILE("text.js", text_js),
    FILE("dom.js", dom_js),
    FILE("admin.html", admin_html),
    FILE("admin.css", admin_css),
    FILE("admin.js", admin_js),
    FILE("admin.view.js", admin_view_js),
    FILE("manifest.webmanifest", manifest),
    FILE("icon.svg", icon_svg),
    FILE("icon-192.png", icon_192_png),
    FILE("icon-512.png", icon_512_png),
};

const struct web_file *web_files(size_t *count) {
    *count = sizeof files / sizeof files[0];
    return files;
}
