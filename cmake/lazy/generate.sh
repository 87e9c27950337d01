#!/bin/sh
# Writes the assembly file that stands in for libraries until one of their functions is called:
#
#     generate.sh OUTPUT LIBRARY.so... -- ARCHIVE.a...
#
# For each function that the archives want and a library has, a jump through a slot; the slot leads
# to lazy_resolve() (lazy.c) at first and to the function afterwards. Arguments in registers, also
# those of functions like printf(), pass untouched. A function of the program's own goes before one
# of a library (weak symbols). x86-64 only.
set -eu
output=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries=0
: >"$work/sonames"
: >"$work/offered"
while [ "$1" != -- ]; do
	soname=$(readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
	printf '%s\n' "$soname" >>"$work/sonames"
	# T, W and i are functions. Data cannot be put off: who needs it links the library as usual.
	nm -D --defined-only "$1" | awk -v l="$libraries" '$2 ~ /^[TWi]$/ { sub(/@.*/, "", $3); print $3, l }' >>"$work/offered"
	libraries=$((libraries + 1))
	shift
done
shift
# What is wanted and defined nowhere among the archives themselves.
nm -A -P "$@" 2>/dev/null | awk '{ if ($3 == "U") wanted[$2]; else if ($3 ~ /^[A-TV-Z]$/) given[$2] }
	END { for (name in wanted) if (!(name in given)) print name }' | sort >"$work/wanted"
sort -u -k 1,1 "$work/offered" | join - "$work/wanted" >"$work/symbols"

{
	printf '\t.section .rodata\n'
	awk '{ printf "library_%d: .string \"%s\"\n", NR - 1, $1 }' "$work/sonames"
	awk '{ printf "name_%d: .string \"%s\"\n", NR - 1, $1 }' "$work/symbols"
	printf '\t.section .data.rel.ro,"aw"\n\t.balign 8\n\t.globl lazy_libraries\nlazy_libraries:\n'
	awk '{ printf "\t.quad library_%d\n", NR - 1 }' "$work/sonames"
	printf '\t.globl lazy_symbols\nlazy_symbols:\n'
	awk '{ printf "\t.quad name_%d, %d\n", NR - 1, $2 }' "$work/symbols"
	printf '\t.data\n\t.balign 8\n\t.globl lazy_slots\nlazy_slots:\n'
	awk '{ printf "\t.quad first_%d\n", NR - 1 }' "$work/symbols"
	printf '\t.text\n'
	awk '{
		printf "\t.weak %s\n\t.hidden %s\n\t.type %s, @function\n", $1, $1, $1
		printf "%s:\n\tendbr64\n\tjmp *lazy_slots+%d(%%rip)\n", $1, (NR - 1) * 8
		printf "first_%d:\n\tendbr64\n\tpushq $%d\n\tjmp resolve\n", NR - 1, NR - 1
	}' "$work/symbols"
	# The stack is aligned at the call: return address, number, eight registers, eight vectors.
	cat <<'END'
resolve:
	pushq %rax
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	pushq %r10
	subq $128, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm3, 48(%rsp)
	movups %xmm4, 64(%rsp)
	movups %xmm5, 80(%rsp)
	movups %xmm6, 96(%rsp)
	movups %xmm7, 112(%rsp)
	movq 192(%rsp), %rdi
	call lazy_resolve
	movq %rax, %r11
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm3
	movups 64(%rsp), %xmm4
	movups 80(%rsp), %xmm5
	movups 96(%rsp), %xmm6
	movups 112(%rsp), %xmm7
	addq $128, %rsp
	popq %r10
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	popq %rax
	addq $8, %rsp
	jmp *%r11
	.section .note.GNU-stack, "", @progbits
END
} >"$output"
