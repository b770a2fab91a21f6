/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/template.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

enum { DEPTH_MAX = 16, ARGS_MAX = 8 };

#define NOWHERE SIZE_MAX
#define ROOT (-1)
#define LITERAL (-2)

/* A field, or a text or flag that stands in the template. */
struct operand {
    int field; /* its number, ROOT or LITERAL */
    enum template_kind kind;
    char *text;
    bool is_set;
};

/* One argument: whether it is something. More: whether the first equals one of the others. */
struct condition {
    struct operand arg[ARGS_MAX];
    size_t args;
    bool is_negated;
};

/* A template is a list of steps, run from the first to the last unless one jumps. */
struct step {
    enum { STEP_PUT, STEP_UNLESS, STEP_JUMP } kind;
    struct condition condition; /* of PUT, the value: its first argument */
    size_t to;                  /* while a block is open: the block's previous jump */
};

struct template
{
    const struct template_field *fields;
    struct step *step;
    size_t n;
};

/* An "if" or "with" that waits for its end. */
struct block {
    size_t unless;      /* the step to be told where its else is; NOWHERE: it was */
    size_t jump;        /* the last of the steps to be told where the end is */
    struct operand dot; /* outside of it */
    bool has_else;
};

enum token_kind { TOKEN_CLOSE, TOKEN_WORD, TOKEN_FIELD, TOKEN_TEXT };

struct token {
    enum token_kind kind;
    const char *start;
    size_t len;
};

struct parser {
    const char *source;
    const char *p;
    char *why;
    struct template *template;
    struct token token; /* the one that comes next */
    bool trims;         /* the text that comes next loses its leading white space */
    struct operand dot;
    struct block block[DEPTH_MAX];
    size_t depth;
    size_t longest; /* that it can render to, and more */
};

static const char white[] = " \t\r\n";

static enum err refuse(const struct parser *ps, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err refuse(const struct parser *ps, const char *at, const char *format, ...)
{
    int n = snprintf(ps->why, TEMPLATE_WHY_SIZE, "position %zu: ", (size_t)(at - ps->source) + 1);
    va_list args;
    va_start(args, format);
    vsnprintf(ps->why + n, TEMPLATE_WHY_SIZE - (size_t)n, format, args);
    va_end(args);
    return ERR_PATTERN;
}

static bool is_word(char c, bool is_first)
{
    return isalpha((unsigned char)c) || c == '_' || (!is_first && isdigit((unsigned char)c));
}

static size_t word_len(const char *p)
{
    size_t len = 0;
    while (is_word(p[len], len == 0))
        len++;
    return len;
}

/* tokens */

/* .A.B, a dot alone, or either of them behind a $ */
static enum err read_path(struct parser *ps)
{
    const char *p = ps->p + (*ps->p == '$');
    if (*ps->p == '$' && is_word(*p, true))
        return refuse(ps, ps->p, "variables are not supported");
    while (*p == '.') {
        size_t len = word_len(p + 1);
        if (len == 0 && p != ps->p)
            return refuse(ps, p, "a name must follow the dot");
        p += 1 + len;
        if (len == 0)
            break;
    }
    ps->token = (struct token){TOKEN_FIELD, ps->p, (size_t)(p - ps->p)};
    ps->p = p;
    return ERR_OK;
}

static enum err read_text(struct parser *ps)
{
    const char *p = ps->p + 1;
    char quote = *ps->p;
    while (*p != '\0' && *p != quote && (quote == '`' || *p != '\n')) {
        if (quote == '"' && *p == '\\' && *++p != '"' && *p != '\\')
            return refuse(ps, p - 1, "of the escapes only \\\" and \\\\ are supported");
        p++;
    }
    if (*p != quote)
        return refuse(ps, ps->p, "the text is not closed");
    ps->token = (struct token){TOKEN_TEXT, ps->p, (size_t)(p + 1 - ps->p)};
    ps->p = p + 1;
    return ERR_OK;
}

/* Read the token behind the one that was read last. */
static enum err advance(struct parser *ps)
{
    size_t space = strspn(ps->p, white);
    ps->p += space;
    ps->trims = space > 0 && strncmp(ps->p, "-}}", 3) == 0;
    if (ps->trims || strncmp(ps->p, "}}", 2) == 0) {
        ps->token = (struct token){TOKEN_CLOSE, ps->p, ps->trims ? 3 : 2};
        ps->p += ps->token.len;
        return ERR_OK;
    }
    if (*ps->p == '.' || *ps->p == '$')
        return read_path(ps);
    if (*ps->p == '"' || *ps->p == '`')
        return read_text(ps);
    size_t len = word_len(ps->p);
    if (len == 0)
        return refuse(ps, ps->p, *ps->p == '\0' ? "}} is missing" : "\"%c\" is not supported here", *ps->p);
    ps->token = (struct token){TOKEN_WORD, ps->p, len};
    ps->p += len;
    return ERR_OK;
}

static bool is_at(const struct parser *ps, const char *word)
{
    return ps->token.kind == TOKEN_WORD && ps->token.len == strlen(word) &&
           strncmp(ps->token.start, word, ps->token.len) == 0;
}

static enum err expect_close(const struct parser *ps)
{
    return ps->token.kind == TOKEN_CLOSE ? ERR_OK : refuse(ps, ps->token.start, "}} is expected here");
}

/* values */

static void operand_release(struct operand *operand)
{
    mem_free(&operand->text);
}

static void condition_release(struct condition *condition)
{
    for (size_t i = 0; i < ARGS_MAX; i++)
        operand_release(&condition->arg[i]);
}

static enum err find_field(const struct parser *ps, struct operand *out)
{
    const struct template_field *fields = ps->template->fields;
    const char *path = ps->token.start;
    bool is_rooted = *path == '$';
    int base = is_rooted ? ROOT : ps->dot.field;
    path += is_rooted;
    size_t len = ps->token.len - is_rooted;
    if (len <= 1) {
        *out = (struct operand){.field = base, .kind = base == ROOT ? TEMPLATE_RECORD : fields[base].kind};
        return ERR_OK;
    }
    const char *start = base == ROOT ? "" : fields[base].path;
    AUTO(mem_free) char *name = mem_printf("%s%.*s", start, (int)len, path);
    const char *wanted = name + (base == ROOT);
    for (int i = 0; fields[i].path != NULL; i++)
        if (strcmp(fields[i].path, wanted) == 0) {
            *out = (struct operand){.field = i, .kind = fields[i].kind};
            return ERR_OK;
        }
    return refuse(ps, ps->token.start, "there is no %s%.60s", base == ROOT ? "" : ".", name);
}

static void read_literal(const struct token *token, struct operand *out)
{
    *out = (struct operand){.field = LITERAL, .kind = TEMPLATE_TEXT, .text = mem_calloc(token->len, 1)};
    size_t n = 0;
    for (const char *p = token->start + 1; p < token->start + token->len - 1; p++) {
        p += *p == '\\' && *token->start == '"';
        out->text[n++] = *p;
    }
}

static enum err parse_operand(struct parser *ps, struct operand *out)
{
    bool is_true = is_at(ps, "true");
    if (is_true || is_at(ps, "false"))
        *out = (struct operand){.field = LITERAL, .kind = TEMPLATE_FLAG, .is_set = is_true};
    else if (ps->token.kind == TOKEN_TEXT)
        read_literal(&ps->token, out);
    else if (ps->token.kind == TOKEN_FIELD)
        TRY(find_field(ps, out));
    else if (ps->token.kind == TOKEN_WORD)
        return refuse(ps, ps->token.start, "%.*s is not supported here", (int)ps->token.len, ps->token.start);
    else
        return refuse(ps, ps->token.start, "a value is missing");
    enum err e = advance(ps);
    if (e != ERR_OK)
        operand_release(out);
    return e;
}

/* The arguments of eq and ne: of one kind, and no records. */
static enum err parse_comparison(struct parser *ps, struct condition *condition)
{
    while (ps->token.kind != TOKEN_CLOSE) {
        const char *at = ps->token.start;
        if (condition->args == ARGS_MAX)
            return refuse(ps, at, "more than %d values", ARGS_MAX);
        struct operand *operand = &condition->arg[condition->args];
        TRY(parse_operand(ps, operand));
        condition->args++;
        if (operand->kind == TEMPLATE_RECORD)
            return refuse(ps, at, "a record cannot be compared");
        if (operand->kind != condition->arg[0].kind)
            return refuse(ps, at, "a text and a flag cannot be compared");
    }
    return ERR_OK;
}

static enum err parse_condition(struct parser *ps, struct condition *condition)
{
    const char *at = ps->token.start;
    bool is_ne = is_at(ps, "ne");
    bool is_not = is_at(ps, "not");
    condition->is_negated = is_ne || is_not;
    if (!is_ne && !is_not && !is_at(ps, "eq")) {
        TRY(parse_operand(ps, &condition->arg[0]));
        condition->args = 1;
        return ERR_OK;
    }
    TRY(advance(ps));
    if (is_not) {
        TRY(parse_operand(ps, &condition->arg[0]));
        condition->args = 1;
        return ERR_OK;
    }
    TRY(parse_comparison(ps, condition));
    if (condition->args < 2 || (is_ne && condition->args > 2))
        return refuse(ps, at, "%s compares two values", is_ne ? "ne" : "eq");
    return ERR_OK;
}

/* steps */

static struct step *add_step(struct parser *ps)
{
    struct template *t = ps->template;
    t->step = mem_resize(t->step, t->n + 1, sizeof *t->step);
    t->step[t->n] = (struct step){.kind = STEP_PUT};
    return &t->step[t->n++];
}

static void add_text(struct parser *ps, const char *text, size_t len)
{
    if (len == 0)
        return;
    struct step *step = add_step(ps);
    step->condition.args = 1;
    step->condition.arg[0] = (struct operand){.field = LITERAL, .kind = TEMPLATE_TEXT, .text = mem_strndup(text, len)};
    ps->longest += len;
}

/* {{value}} */
static enum err parse_put(struct parser *ps)
{
    const char *at = ps->token.start;
    AUTO(operand_release) struct operand operand = {0};
    TRY(parse_operand(ps, &operand));
    if (operand.kind == TEMPLATE_RECORD)
        return refuse(ps, at, "a record is not a text: name a field of it");
    TRY(expect_close(ps));
    ps->longest += operand.text != NULL ? strlen(operand.text) : TEMPLATE_VALUE_MAX;
    struct step *step = add_step(ps);
    step->condition.args = 1;
    step->condition.arg[0] = operand;
    operand.text = NULL;
    return ERR_OK;
}

/* What follows "if" and "with", behind else too. */
static enum err parse_branch(struct parser *ps, struct block *block)
{
    const char *at = ps->token.start;
    bool is_with = is_at(ps, "with");
    TRY(advance(ps));
    AUTO(condition_release) struct condition condition = {0};
    TRY(parse_condition(ps, &condition));
    TRY(expect_close(ps));
    if (is_with && (condition.args > 1 || condition.is_negated || condition.arg[0].field == LITERAL))
        return refuse(ps, at, "with takes a field");
    if (is_with)
        ps->dot = condition.arg[0];
    block->unless = ps->template->n;
    struct step *step = add_step(ps);
    step->kind = STEP_UNLESS;
    step->condition = condition;
    condition = (struct condition){0};
    return ERR_OK;
}

static enum err open_block(struct parser *ps)
{
    if (ps->depth == DEPTH_MAX)
        return refuse(ps, ps->token.start, "more than %d levels", DEPTH_MAX);
    struct block *block = &ps->block[ps->depth];
    *block = (struct block){.unless = NOWHERE, .jump = NOWHERE, .dot = ps->dot};
    TRY(parse_branch(ps, block));
    ps->depth++;
    return ERR_OK;
}

static enum err parse_else(struct parser *ps)
{
    if (ps->depth == 0 || ps->block[ps->depth - 1].has_else)
        return refuse(ps, ps->token.start, "an else without an if");
    struct block *block = &ps->block[ps->depth - 1];
    TRY(advance(ps));
    size_t jump = ps->template->n;
    struct step *step = add_step(ps);
    step->kind = STEP_JUMP;
    step->to = block->jump;
    block->jump = jump;
    ps->template->step[block->unless].to = jump + 1;
    block->unless = NOWHERE;
    ps->dot = block->dot;
    if (is_at(ps, "if") || is_at(ps, "with"))
        return parse_branch(ps, block);
    block->has_else = true;
    return expect_close(ps);
}

static enum err close_block(struct parser *ps)
{
    if (ps->depth == 0)
        return refuse(ps, ps->token.start, "an end without an if");
    TRY(advance(ps));
    TRY(expect_close(ps));
    struct template *t = ps->template;
    struct block *block = &ps->block[--ps->depth];
    if (block->unless != NOWHERE)
        t->step[block->unless].to = t->n;
    for (size_t i = block->jump; i != NOWHERE;) {
        size_t previous = t->step[i].to;
        t->step[i].to = t->n;
        i = previous;
    }
    ps->dot = block->dot;
    return ERR_OK;
}

/* From behind {{ to behind }}. */
static enum err parse_action(struct parser *ps)
{
    TRY(advance(ps));
    if (is_at(ps, "if") || is_at(ps, "with"))
        return open_block(ps);
    if (is_at(ps, "else"))
        return parse_else(ps);
    if (is_at(ps, "end"))
        return close_block(ps);
    return parse_put(ps);
}

static enum err parse(struct parser *ps)
{
    while (*ps->p != '\0') {
        if (ps->trims)
            ps->p += strspn(ps->p, white);
        const char *action = strstr(ps->p, "{{");
        size_t len = action != NULL ? (size_t)(action - ps->p) : strlen(ps->p);
        bool trims = action != NULL && action[2] == '-' && action[3] != '\0' && strchr(white, action[3]) != NULL;
        const char *text = ps->p;
        ps->p += len;
        while (trims && len > 0 && strchr(white, text[len - 1]) != NULL)
            len--;
        add_text(ps, text, len);
        if (action == NULL)
            break;
        ps->p = action + (trims ? 3 : 2);
        TRY(parse_action(ps));
    }
    if (ps->depth > 0)
        return refuse(ps, ps->p, "an end is missing");
    return ps->longest < TEMPLATE_OUT_SIZE ? ERR_OK : refuse(ps, ps->p, "it could render to too long a text");
}

/* rendering */

static bool is_set(const struct operand *operand, const struct template_value *values)
{
    if (operand->field == ROOT)
        return true;
    if (operand->kind != TEMPLATE_TEXT)
        return operand->field == LITERAL ? operand->is_set : values[operand->field].is_set;
    const char *text = operand->field == LITERAL ? operand->text : values[operand->field].text;
    return text != NULL && *text != '\0';
}

static const char *text_of(const struct operand *operand, const struct template_value *values)
{
    if (operand->kind == TEMPLATE_FLAG)
        return is_set(operand, values) ? "true" : "false";
    const char *text = operand->field == LITERAL ? operand->text : values[operand->field].text;
    return text != NULL ? text : "";
}

static bool holds(const struct condition *condition, const struct template_value *values)
{
    bool is_true = condition->args == 1 && is_set(&condition->arg[0], values);
    for (size_t i = 1; i < condition->args; i++)
        is_true |= strcmp(text_of(&condition->arg[0], values), text_of(&condition->arg[i], values)) == 0;
    return is_true != condition->is_negated;
}

static size_t put(const struct operand *operand, const struct template_value *values, char *out)
{
    const char *text = text_of(operand, values);
    size_t len = strnlen(text, operand->field == LITERAL ? TEMPLATE_SOURCE_MAX : TEMPLATE_VALUE_MAX);
    memcpy(out, text, len);
    return len;
}

enum err template_parse(const char *source, const struct template_field *fields, char why[TEMPLATE_WHY_SIZE],
                        struct template **out)
{
    AUTO(template_free) struct template *t = mem_calloc(1, sizeof *t);
    t->fields = fields;
    struct parser ps = {.source = source, .p = source, .why = why, .template = t, .dot.field = ROOT};
    if (strlen(source) > TEMPLATE_SOURCE_MAX)
        return refuse(&ps, source + TEMPLATE_SOURCE_MAX, "longer than %d bytes", TEMPLATE_SOURCE_MAX);
    TRY(parse(&ps));
    *out = MOVE(t);
    return ERR_OK;
}

void template_free(struct template **t)
{
    if (*t == NULL)
        return;
    for (size_t i = 0; i < (*t)->n; i++)
        condition_release(&(*t)->step[i].condition);
    free((*t)->step);
    free(*t);
    *t = NULL;
}

const char *template_constant(const struct template *t)
{
    if (t->n == 0)
        return "";
    const struct operand *only = &t->step[0].condition.arg[0];
    return t->n == 1 && only->field == LITERAL && only->kind == TEMPLATE_TEXT ? only->text : NULL;
}

size_t template_render(const struct template *t, const struct template_value *values, char out[TEMPLATE_OUT_SIZE])
{
    size_t len = 0;
    for (size_t i = 0; i < t->n;) {
        const struct step *step = &t->step[i++];
        if (step->kind == STEP_PUT)
            len += put(&step->condition.arg[0], values, out + len);
        else if (step->kind == STEP_JUMP || !holds(&step->condition, values))
            i = step->to;
    }
    out[len] = '\0';
    return len;
}
